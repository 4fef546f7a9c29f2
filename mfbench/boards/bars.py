"""The bar chart of a table: its primary metric with intervals, row by row as in the table."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mfbench.boards import axes, numbers
from mfbench.boards.markdown import one_line
from mfbench.boards.tables import Table
from mfbench.protocols import style
from mfbench.protocols.set_apart import set_apart

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_ROWS = 45
"""Rows that a figure shows; the table has them all."""

_FACES = {
    "ceiling": "0.3",
    "reference": "0.6",
    "ranked": style.PALETTE[0],
    "unranked": "1.0",
    "control": "0.9",
}
_HATCHES = {"reference": "//", "control": ".."}
_LONGEST_NAME = 44
_TITLE_LINE = 105
_LINE = 0.17
"""Inches of a line of the title."""
_GAP = 0.55
"""Inches between the panels, and between two ticks: a small difference needs long tick labels."""


def draw_bars(table: Table) -> Figure | None:
    """The primary metric of the table's first rows; None where no row has a finite value.

    Bars from zero on the left, the same numbers closer up on the right: bars alone hide small differences,
    and bars that do not begin at zero exaggerate them. A logarithmic axis has no zero: it has points alone.
    """
    if table.primary is None:
        return None
    there = axes.with_value(table)
    shown, logarithmic = axes.on_an_axis(there, table.primary)
    if shown.empty:
        return None
    title, shown = textwrap.fill(_title(table, there, shown), _TITLE_LINE), shown.head(MOST_ROWS)
    shorts = set_apart(table.rows["name"].astype(str))
    names = [_name(table, row, shorts) for row in shown.index]
    panels = 1 if logarithmic else 2
    height = 1.0 + 0.23 * len(shown) + title.count("\n") * _LINE
    figure, panes = style.new_figure(1, panels, panel=(8.0 / panels, height), sharey=True)
    if logarithmic:
        panes[0, 0].set_xscale("log")
    else:
        _bars(panes[0, 0], shown)
        panes[0, 1].set_xlim(*axes.close_up(shown))
        panes[0, 1].yaxis.set_visible(False)
    _points(panes[0, -1], shown)
    _name_rows(panes[0, 0], names)
    unit = f" ({table.primary.unit})" if table.primary.unit else ""
    better = {"higher": ", higher is better", "lower": ", lower is better", None: ""}[table.primary.better]
    for ax in panes[0]:
        ax.grid(visible=False, axis="y")
        _part_blocks(ax, shown)
    figure.suptitle(_plain(title), fontsize=10)
    _make_room(figure, names, title.count("\n"), f"{_plain(table.primary.name)}{_plain(unit)}{better}")
    return figure


def _title(table: Table, there: pd.DataFrame, shown: pd.DataFrame) -> str:
    """The table's, and what of it the figure leaves out."""
    count = numbers.count(len(shown))
    some = f" (first {MOST_ROWS} of {count} rows)" if len(shown) > MOST_ROWS else ""
    zero = " (rows at exactly 0 are not on a logarithmic axis)" if len(shown) < len(there) else ""
    return f"{table.title}{some}{zero}"


def _name(table: Table, row: str, shorts: Mapping[str, str]) -> str:
    """What tells this row from others, with its standing where it is not ranked; the method first, where not
    all of it has room, and of its parameters those in which other rows of the method differ.
    """
    varying = [f"{name} {table.rows.at[row, f'parameter:{name}']!s}" for name in table.varying]
    name = str(table.rows.at[row, "name"])
    text = ", ".join([*varying, name])
    if len(text) > _LONGEST_NAME:
        apart = f"{shorts[name][:-1]}, …)" if shorts[name].endswith(")") and shorts[name] != name else name
        text = ", ".join([apart, *varying])
    standing = str(table.rows.at[row, "standing"])
    return _plain(one_line(text, _LONGEST_NAME)) + ("" if standing == "ranked" else f" [{standing}]")


def _plain(text: str) -> str:
    """Text without formulas: a dollar sign would begin one."""
    return text.replace("$", "\\$")


def _bars(ax: Axes, shown: pd.DataFrame) -> None:
    bars = ax.barh(np.arange(len(shown)), shown["value"], height=0.72, edgecolor="0.15", linewidth=0.5)
    for bar, standing in zip(bars, shown["standing"]):
        bar.set_facecolor(_FACES[standing])
        bar.set_hatch(_HATCHES.get(standing, ""))
    _whiskers(ax, shown)


def _points(ax: Axes, shown: pd.DataFrame) -> None:
    _whiskers(ax, shown)
    places = pd.Series(np.arange(len(shown)), shown.index)
    for standing, values in shown.groupby("standing")["value"]:
        marker = "o" if standing in ("ranked", "unranked") else "D"
        look: dict[str, Any] = {"color": _FACES[str(standing)], "markeredgecolor": "0.15", "markersize": 5}
        ax.plot(values, places[values.index], linestyle="", marker=marker, **look)
    ceilings = shown.loc[shown["standing"] == "ceiling", "value"].unique()
    if len(ceilings) == 1:
        ax.axvline(ceilings[0], color="0.3", linewidth=0.8, linestyle="--", zorder=0)


def _whiskers(ax: Axes, shown: pd.DataFrame) -> None:
    gaps = np.abs(np.array([shown["value"] - shown["low"], shown["high"] - shown["value"]]))
    finite = np.where(np.isfinite(gaps), gaps, 0.0)
    places = np.arange(len(shown))
    ax.errorbar(shown["value"], places, xerr=finite, fmt="none", ecolor="0.15", elinewidth=1.0, capsize=2.5)


def _part_blocks(ax: Axes, shown: pd.DataFrame) -> None:
    """A thin line between rows of different protocol parameters: they are not ranked against each other."""
    blocks = shown["block"].to_numpy()
    for place in np.flatnonzero(blocks[1:] != blocks[:-1]):
        ax.axhline(place + 0.5, color="0.75", linewidth=0.6)


def _make_room(figure: Figure, names: Sequence[str], more_lines: int, metric: str) -> None:
    """Margins in inches, by the longest name and the title's further lines: a layout engine would draw the
    figure several times to know.

    The metric stands once, below the panels together: beside long names, one panel is too narrow for it.
    """
    from matplotlib.layout_engine import PlaceHolderLayoutEngine
    from matplotlib.ticker import MaxNLocator

    width, height = figure.get_size_inches()
    left, right = 0.3 + 0.062 * max(map(len, names)), 0.25
    figure.set_layout_engine(PlaceHolderLayoutEngine(adjust_compatible=True, colorbar_gridspec=True))
    panel = (width - left - right - _GAP) / 2
    for ax in figure.axes:
        if ax.get_xscale() == "linear":
            ax.xaxis.set_major_locator(MaxNLocator(max(2, int(panel / _GAP)), steps=[1, 2, 5, 10]))
    sides = {"left": left / width, "right": 1 - right / width, "wspace": _GAP / panel}
    middle = (sides["left"] + sides["right"]) / 2
    figure.supxlabel(metric, x=middle, y=0.02 / height, va="bottom", fontsize=9)
    figure.subplots_adjust(**sides, bottom=0.5 / height, top=1 - (0.32 + more_lines * _LINE) / height)


def _name_rows(ax: Axes, names: Sequence[str]) -> None:
    """As texts: a tick is three lines and two texts, and is measured again for every label of its axis."""
    ax.set_yticks([])
    ax.set_ylim(len(names) - 0.4, -0.6)
    beside = ax.get_yaxis_transform()
    for place, name in enumerate(names):
        ax.text(-0.015, place, name, fontsize=7.5, ha="right", va="center", transform=beside)
