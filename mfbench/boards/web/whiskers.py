"""The intervals of a table's primary values, drawn row by row on one axis."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from mfbench.boards import axes, numbers
from mfbench.boards.tables import Table

WIDTH = 100.0
"""The axis goes from 0 to this."""


class Whisker(NamedTuple):
    """Places on the axis. `value` is None where it lies beyond an end, which `beyond` says (-1, 1; else 0);
    `best` is the ceiling's place within the row's block, None where there is none or several."""

    low: float
    value: float | None
    high: float
    beyond: int
    best: float | None


@dataclass(frozen=True)
class Forest:
    """Whiskers by row id, and what the ends of the axis are called."""

    whiskers: dict[str, Whisker]
    ends: tuple[str, str]
    logarithmic: bool


def forest(table: Table) -> Forest | None:
    """The drawn intervals of a table; None where no row has a finite value.

    A row off the axis (a control far away, an exact 0 on a logarithmic one) is marked at its end.
    """
    if table.primary is None:
        return None
    there = axes.with_value(table)
    shown, logarithmic = axes.on_an_axis(there, table.primary)
    if shown.empty:
        return None
    low, high = _limits(shown, logarithmic)
    scale = _scale(low, high, logarithmic)
    best = _ceilings(there, scale)
    rows = zip(there.index, there["block"], there["low"], there["value"], there["high"])
    whiskers = {row: _whisker(scale, best.get(block), *ends) for row, block, *ends in rows}
    return Forest(whiskers, (numbers.plain(low, 2), numbers.plain(high, 2)), logarithmic)


def _limits(shown: pd.DataFrame, logarithmic: bool) -> tuple[float, float]:
    """Of an axis of powers all that is on it; of another the closer view, as figures have it."""
    if not logarithmic:
        return axes.close_up(shown)
    low, high = shown["value"].min(), shown["value"].max()
    margin = (high / low) ** 0.04
    return float(low / margin), float(high * margin)


def _scale(low: float, high: float, logarithmic: bool) -> Callable[[float], float]:
    """Numbers to places; those beyond the ends are beyond them still."""

    def place(value: float) -> float:
        if not logarithmic:
            return WIDTH * (value - low) / (high - low)
        if value <= 0:
            return -math.inf
        return WIDTH * math.log(value / low) / math.log(high / low)

    return place


def _ceilings(there: pd.DataFrame, scale: Callable[[float], float]) -> dict[str, float]:
    """The place of each block's ceiling, where it has one and that is on the axis."""
    found = there[there["standing"] == "ceiling"].groupby("block")["value"].agg(["nunique", "first"])
    places = {block: scale(value) for block, many, value in found.itertuples() if many == 1}
    return {str(block): round(place, 1) for block, place in places.items() if 0 <= place <= WIDTH}


def _whisker(
    scale: Callable[[float], float], best: float | None, low: float, value: float, high: float
) -> Whisker:
    place = scale(value)
    beyond = -1 if place < 0 else int(place > WIDTH)
    ends = (round(min(max(scale(end), 0.0), WIDTH), 1) for end in (low, high))
    return Whisker(next(ends), None if beyond else round(place, 1), next(ends), beyond, best)
