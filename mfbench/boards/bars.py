"""The bar chart of a table: its primary metric with intervals, row by row as in the table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mfbench.boards import numbers
from mfbench.boards.tables import Table
from mfbench.protocols import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_ROWS = 40
"""Rows that a figure shows; the table has them all."""

_FACES = {"ceiling": "0.3", "reference": "0.6", "control": "0.9", "method": style.PALETTE[0]}
_HATCHES = {"ceiling": "", "reference": "//", "control": "..", "method": ""}
_SPAN = 100.0
"""A positive metric whose largest value is so many times its smallest is shown on a logarithmic axis."""
_LONGEST_NAME = 44


def draw_bars(table: Table) -> Figure | None:
    """The primary metric of the table's first rows; None where no row has a finite value.

    Bars from zero on the left, the same numbers closer up on the right: bars alone hide small differences,
    and bars that do not begin at zero exaggerate them. A logarithmic axis has no zero: it has points alone.
    """
    shown = _shown(table)
    if shown.empty or table.primary is None:
        return None
    logarithmic = bool((shown["value"] > 0).all() and shown["value"].max() > _SPAN * shown["value"].min())
    panels = 1 if logarithmic else 2
    size = (8.0 / panels, 1.0 + 0.23 * len(shown))
    figure, axes = style.new_figure(1, panels, panel=size, sharey=True)
    if logarithmic:
        axes[0, 0].set_xscale("log")
    else:
        _bars(axes[0, 0], shown)
    _points(axes[0, -1], shown)
    _name_rows(axes[0, 0], shown)
    unit = f" ({table.primary.unit})" if table.primary.unit else ""
    better = {"higher": ", higher is better", "lower": ", lower is better", None: ""}[table.primary.better]
    for ax in axes[0]:
        ax.grid(visible=False, axis="y")
        style.label(ax, x=f"{table.primary.name}{unit}{better}")
    figure.suptitle(_title(table, len(shown)), fontsize=10)
    return figure


def _shown(table: Table) -> pd.DataFrame:
    """The first rows with a finite value: `name`, `role`, `value` and its interval's `low` and `high`."""
    if table.primary is None:
        return pd.DataFrame()
    primary = table.values[(table.values["metric"] == table.primary.name) & (table.values["part"] == "")]
    numbers_of = primary.set_index("row")[["value", "ci_low", "ci_high"]].reindex(table.rows.index)
    numbers_of = numbers_of[np.isfinite(numbers_of["value"].astype(float))].head(MOST_ROWS)
    rows = table.rows.loc[numbers_of.index]
    names = [_name(table, row, label) for row, label in zip(rows.index, rows["label"])]
    ends = {
        "low": numbers_of["ci_low"].fillna(numbers_of["value"]),
        "high": numbers_of["ci_high"].fillna(numbers_of["value"]),
    }
    return pd.DataFrame({"name": names, "role": rows["role"], "value": numbers_of["value"], **ends})


def _name(table: Table, row: str, label: str) -> str:
    varying = [f"{name} {table.rows.at[row, f'parameter:{name}']!s}" for name in table.varying]
    return _shorten(", ".join([*varying, label]))


def _shorten(text: str) -> str:
    # A dollar sign would begin a formula.
    text = text.replace("$", "\\$")
    return text if len(text) <= _LONGEST_NAME else f"{text[: _LONGEST_NAME - 1]}…"


def _bars(ax: Axes, shown: pd.DataFrame) -> None:
    bars = ax.barh(np.arange(len(shown)), shown["value"], height=0.72, edgecolor="0.15", linewidth=0.5)
    for bar, role in zip(bars, shown["role"]):
        bar.set_facecolor(_FACES[role])
        bar.set_hatch(_HATCHES[role])
    _whiskers(ax, shown)


def _points(ax: Axes, shown: pd.DataFrame) -> None:
    _whiskers(ax, shown)
    for place, (role, value) in enumerate(zip(shown["role"], shown["value"])):
        ax.plot(
            value, place, marker="o" if role == "method" else "D", color=_FACES[role], markeredgecolor="0.15"
        )
    ceilings = shown.loc[shown["role"] == "ceiling", "value"].unique()
    if len(ceilings) == 1:
        ax.axvline(ceilings[0], color="0.3", linewidth=0.8, linestyle="--", zorder=0)


def _whiskers(ax: Axes, shown: pd.DataFrame) -> None:
    gaps = np.abs(np.array([shown["value"] - shown["low"], shown["high"] - shown["value"]]))
    finite = np.where(np.isfinite(gaps), gaps, 0.0)
    places = np.arange(len(shown))
    ax.errorbar(shown["value"], places, xerr=finite, fmt="none", ecolor="0.15", elinewidth=1.0, capsize=2.0)


def _name_rows(ax: Axes, shown: pd.DataFrame) -> None:
    names = [
        name if role == "method" else f"{name} [{role}]" for name, role in zip(shown["name"], shown["role"])
    ]
    ax.set_yticks(np.arange(len(shown)), names, fontsize=7.5)
    ax.set_ylim(len(shown) - 0.4, -0.6)


def _title(table: Table, shown: int) -> str:
    left_out = f" (first {shown} of {numbers.count(len(table.rows))} rows)" if shown < len(table.rows) else ""
    return f"{table.title}{left_out}"
