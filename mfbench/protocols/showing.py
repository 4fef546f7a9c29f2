"""What the figures of all protocols do with records: which are shown, in which order, under which name."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mfbench.contracts import Record, Role
from mfbench.identity import canonical
from mfbench.protocols import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[Any]
Kept = Mapping[str, Array]

LABEL_LINE = 28
"""Letters of a line of a label."""
LEGEND_LINE, LEGEND_HANDLE, LEGEND_LETTER = 0.19, 0.7, 0.062
"""Height of a line of a legend, width of an entry without its text and of a letter, in inches."""

ROLES: tuple[Role, ...] = ("ceiling", "reference", "method", "control")
"""From the best possible down, as on a board."""


def one_of_each(records: Sequence[Record], arrays: Sequence[Kept]) -> list[tuple[Record, Kept]]:
    """One record, of the lowest seed, for each method and protocol parameters that kept something to draw."""
    chosen: dict[tuple[str, str], tuple[Record, Kept]] = {}
    for record, kept in sorted(zip(records, arrays), key=lambda pair: pair[0].seed):
        if kept:
            asked = (record.label, canonical(record.protocol_parameters))
            chosen.setdefault(asked, (record, kept))
    order = {id(record): place for place, record in enumerate(records)}
    return sorted(chosen.values(), key=lambda pair: (ROLES.index(role_of(pair[0])), order[id(pair[0])]))


def role_of(record: Record) -> Role:
    """The record's role; one that this version does not know is drawn as a method's."""
    return next((role for role in ROLES if role == record.role), "method")


def value_of(record: Record, metric: str, part: str = "") -> float:
    """The record's value; NaN where it has none."""
    found = [v.value for v in record.values if v.metric == metric and v.part == part]
    return found[0] if found else float("nan")


def seeds_of(records: Iterable[Record]) -> str:
    """ "seed 0" or "seeds 0, 1, 2": whose numbers a figure shows."""
    seeds = sorted({record.seed for record in records})
    return f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"


def looks_of(records: Iterable[Record]) -> dict[str, dict[str, Any]]:
    """Keyword arguments of `Axes.plot` by label: one colour and marker a method, its variants told apart."""
    variants: dict[str, list[str]] = {}
    looks: dict[str, dict[str, Any]] = {}
    for record in records:
        if record.label in looks:
            continue
        place = variant = 0
        if role_of(record) == "method":
            same = variants.setdefault(record.method, [])
            place, variant = list(variants).index(record.method), len(same)
            same.append(record.label)
        looks[record.label] = style.series_style(place, role_of(record), variant)
    return looks


def in_lines(label: str) -> str:
    """A method's label with its parameters on lines of their own, short enough for a panel's side."""
    name, bracket, parameters = label.partition("(")
    return "\n".join([name, *textwrap.wrap(f"{bracket}{parameters}", LABEL_LINE)])


def evenly(n: int, at_most: int) -> Array:
    """Indices of at most so many of n examples, evenly spaced, in order."""
    return np.arange(n) if n <= at_most else np.linspace(0, n - 1, at_most).round().astype(np.int64)


def shared_legend(figure: Figure, axes: Iterable[Any], columns: int, title: str | None = None) -> None:
    """One legend under all panels, each entry once, in at most so many columns as the figure is wide for.

    The figure grows by its height.
    """
    entries = {text: handle for ax in axes for handle, text in zip(*ax.get_legend_handles_labels())}
    width, height = figure.get_size_inches()
    entry = LEGEND_HANDLE + LEGEND_LETTER * max(map(len, entries), default=0)
    columns = max(1, min(columns, int(width / entry)))
    look: dict[str, Any] = {"loc": "outside lower center", "ncols": columns, "frameon": False, "fontsize": 8}
    figure.legend(
        list(entries.values()), list(entries), title=title, title_fontsize=8, handlelength=3.6, **look
    )
    lines = -(-len(entries) // columns) + (title is not None)
    figure.set_size_inches(width, height + LEGEND_LINE * lines)
