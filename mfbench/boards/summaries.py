"""Values of several seeds -> one number with its interval, by the rule of `mfbench.measures.over_seeds`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import repeat

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from mfbench.contracts import Metric
from mfbench.measures import intervals

_WIDTH = 2 * 1.959963984540054
"""A normal 95 % interval is so many standard errors wide."""

_KEYS = ["row", "metric", "part"]
SUMMARY_COLUMNS = (*_KEYS, "value", "ci_low", "ci_high", "rule", "seeds", "n")


def over_seeds(values: pd.DataFrame) -> pd.DataFrame:
    """One line a (row, metric, part) of `cells.value_frame`, in order of first appearance.

    `n` is the number of examples of all seeds together. A single seed keeps its own interval.
    """
    group = values.groupby(_KEYS, sort=False).ngroup().to_numpy()
    order, counts = np.argsort(group, kind="stable"), np.bincount(group)
    firsts = np.cumsum(counts) - counts
    keys = zip(*(values[name].to_numpy()[order[firsts]].tolist() for name in _KEYS))
    number, low, high = (values[name].to_numpy() for name in ("value", "ci_low", "ci_high"))
    found: dict[int, tuple[float, float, float, str, int]] = {}
    for count in np.unique(counts):
        which = np.flatnonzero(counts == count)
        where = order[firsts[which, None] + np.arange(count)]
        for place, seeds, usual in zip(which.tolist(), where, _usual(number[where])):
            found[place] = usual or _one(number[seeds], low[seeds], high[seeds])
    n = np.bincount(group, weights=values["n"]).tolist()
    lines = [
        (*key, *map(_rounded, found[place][:3]), *found[place][3:], n[place])
        for place, key in enumerate(keys)
    ]
    return pd.DataFrame(lines, columns=list(SUMMARY_COLUMNS))


def in_range(values: pd.DataFrame, metrics: Sequence[Metric]) -> pd.DataFrame:
    """The lines of one table with intervals that end where a metric must, and p-values that are some."""
    known = {metric.name: metric for metric in metrics}
    of = [known.get(name, Metric("")) for name in values["metric"]]
    lowest = np.array([-np.inf if metric.lowest is None else metric.lowest for metric in of])
    highest = np.array([np.inf if metric.highest is None else metric.highest for metric in of])
    several = np.array([metric.p_value for metric in of], dtype=bool) & (values["seeds"] > 1).to_numpy()
    ends = {name: values[name].clip(lowest, highest).mask(several) for name in ("ci_low", "ci_high")}
    value = values["value"].mask(several, (2 * values["value"]).clip(upper=1))
    return values.assign(value=value, **ends, rule=values["rule"].mask(several, "twice the mean of p-values"))


def _rounded(value: float) -> float:
    """To twelve digits: the last ones depend on the processor, and boards are compared byte for byte."""
    return float(f"{value:.12g}")


def _usual(values: np.ndarray) -> Iterator[tuple[float, float, float, str, int] | None]:
    """What `_one` says of each row of (groups, seeds) values, all at once; None where it is to be asked:
    few seeds, no spread, not finite.
    """
    groups, count = values.shape
    if count < intervals.FEWEST_SEEDS:
        yield from repeat(None, groups)
        return
    with np.errstate(invalid="ignore"):
        mean, error = values.mean(axis=1), values.std(axis=1, ddof=1) / np.sqrt(count)
    half = stdtrit(count - 1, 0.975) * error
    method = f"student over {count} seeds"
    columns = (mean, mean - half, mean + half, np.isfinite(error) & (error > 0))
    for value, low, high, usual in zip(*(column.tolist() for column in columns)):
        yield (value, low, high, method, count) if usual else None


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
