"""Values of several seeds -> one number with its interval, by the rule of `mfbench.measures.over_seeds`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from mfbench.measures import intervals

_WIDTH = 2 * 1.959963984540054
"""A normal 95 % interval is so many standard errors wide."""

SUMMARY_COLUMNS = ("row", "metric", "part", "value", "ci_low", "ci_high", "rule", "seeds", "n")


def over_seeds(values: pd.DataFrame) -> pd.DataFrame:
    """One line a (row, metric, part) of `cells.value_frame`, in order of first appearance.

    `n` is the number of examples of all seeds together. A single seed keeps its own interval.
    """
    lines = []
    groups: dict[Any, Any] = values.groupby(["row", "metric", "part"], sort=False).indices
    number = values["value"].to_numpy()
    low, high, n = (values[name].to_numpy() for name in ("ci_low", "ci_high", "n"))
    for key, where in groups.items():
        lines.append((*key, *_one(number[where], low[where], high[where]), float(np.sum(n[where]))))
    return pd.DataFrame(lines, columns=list(SUMMARY_COLUMNS))


def _one(values: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[float, float, float, str, int]:
    """Mean, interval (NaN where there is none), rule and number of seeds."""
    nan, count = float("nan"), len(values)
    if np.isnan(values).any():
        return nan, nan, nan, "none: not a number", count
    if count == 1 and not np.isnan(low[0] + high[0]):
        return float(values[0]), float(low[0]), float(high[0]), "within 1 seed", 1
    errors = [None if np.isnan(width) else float(width) / _WIDTH for width in high - low]
    found = intervals.over_seeds(list(values), errors)
    low_end, high_end = (nan if end is None else end for end in (found.low, found.high))
    return found.value, low_end, high_end, found.method, count
