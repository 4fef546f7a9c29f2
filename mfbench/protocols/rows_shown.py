"""Which rows of a table a figure shows, under which short names, and what it says of those left out."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isnan
from typing import TYPE_CHECKING

from mfbench.contracts import Record
from mfbench.protocols import style
from mfbench.protocols.set_apart import set_apart
from mfbench.protocols.showing import Kept, in_lines, seeds_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy import ndarray

HEADING_LETTER, HEADING_LINE = 0.072, 0.16
"""Width of a letter and height of a line of a heading, in inches."""
TITLE_SIZE, TITLE_LINE = 8, 0.15
"""Of a panel's title: points, and inches of a line."""


@dataclass(frozen=True)
class Rows:
    """Some rows of a table: those that are shown, in the table's order, and the names of all.

    names: by label what tells a row from the others of its method; left_out: labels of the other rows.
    """

    shown: Sequence[tuple[Record, Kept]]
    names: dict[str, str]
    left_out: Sequence[str] = ()

    def title(self, record: Record) -> str:
        """The row's short name, in lines short enough for a panel."""
        return in_lines(self.names[record.label])

    def panels(self, columns: int, width: float, tall: Callable[[Kept], float]) -> tuple[Figure, ndarray]:
        """A figure with a panel a row, `width` inches each, and its axes (lines, columns).

        `tall`: inches that a panel needs below its title; a line of panels has the height of its highest, and
        room for the longest of its titles.
        """
        starts = range(0, len(self.shown), columns)
        lines = [self.shown[start : start + columns] for start in starts]
        high = [max(tall(kept) for _, kept in line) for line in lines]
        titles = [max(self.title(record).count("\n") + 1 for record, _ in line) for line in lines]
        figure, axes = style.new_figure(len(lines), columns, panel=(width, 1), height_ratios=high)
        figure.set_size_inches(width * columns, sum(high) + sum(0.15 + TITLE_LINE * n for n in titles))
        return figure, axes

    def head(self, figure: Figure, text: str) -> None:
        """The heading: the seeds, `text` and the rows left out; the figure grows by its lines."""
        width, height = figure.get_size_inches()
        parts = [f"{seeds_of(record for record, _ in self.shown)}; {text}"]
        if self.left_out:
            every = len(self.shown) + len(self.left_out)
            missing = ", ".join(self.names[label] for label in self.left_out)
            parts.append(f"{len(self.shown)} of {every} rows are shown; left out: {missing}")
        letters = max(20, int((width - 0.4) / HEADING_LETTER))
        lines = [line for part in parts for line in textwrap.wrap(part, letters)]
        style.heading(figure, "\n".join(lines))
        figure.set_size_inches(width, height + HEADING_LINE * (len(lines) + 0.6))


def choose(
    rows: Sequence[tuple[Record, Kept]], most: int, worth: Callable[[Record], float] = lambda record: 0.0
) -> Rows:
    """At most `most` rows: one of each method before a second of the same.

    worth: of rows of one method the one of most worth is shown first, of equal ones the first.
    """
    by_worth = sorted(range(len(rows)), key=lambda place: -_number(worth(rows[place][0])))
    turns: dict[int, int] = {}
    taken: dict[str, int] = {}
    for place in by_worth:
        method = rows[place][0].method
        turns[place] = taken[method] = taken.get(method, -1) + 1
    chosen = set(sorted(turns, key=lambda place: (turns[place], place))[:most])
    return Rows(
        shown=[row for place, row in enumerate(rows) if place in chosen],
        names=set_apart(record.label for record, _ in rows),
        left_out=[record.label for place, (record, _) in enumerate(rows) if place not in chosen],
    )


def _number(worth: float) -> float:
    return float("-inf") if isnan(worth) else worth
