"""Which of two methods is better, and what rank that leaves each: the one rule of every board.

Methods are compared by the differences of their per-example contributions, on the same examples and seeds;
where there are none, by seed-paired Student's t. What is compared are the methods as fitted with these
seeds: the seeds are strata, and only the examples are drawn anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.special import stdtr, stdtrit

from mfbench.measures.convert import Array, Generator, as_array, numpy_generator

Scored: TypeAlias = tuple[float, Mapping[str, npt.ArrayLike]]
"""One seed's value with its per-example contributions by group (`Measurement.scores`); {} without."""

_Real: TypeAlias = Array | np.floating[Any]

RESAMPLES = 9999
_WORK = 10**7
"""Most counts drawn for one bootstrap: fewer resamples (at least 999) where there are more examples."""
_NEARLY_NORMAL = 0.1


@dataclass(frozen=True)
class Difference:
    """a - b, its interval (None: none can be given), two-sided p-value, and how they were found."""

    difference: float
    low: float | None
    high: float | None
    p_value: float
    method: str


def paired_difference(
    a: Sequence[Scored], b: Sequence[Scored], rng: Generator, *, level: float = 0.95
) -> Difference:
    """The difference of two methods' mean values over the same seeds, in the same order.

    With per-example contributions that pair (the same groups and sizes): a studentised bootstrap of the
    paired differences, stratified by seed and group. Its cumulants are known without drawing; where skewness
    and excess kurtosis are below 0.1 its limit is used, Student's t with Welch's degrees of freedom (the
    first term that Edgeworth's expansion adds is below 0.003 in a 2.5 % tail). Otherwise it is drawn, equal
    differences together, as multinomial counts. Without contributions: Student's t over the seeds'
    differences; a single seed then allows no comparison (p = 1).
    """
    if len(a) != len(b) or not a:
        raise ValueError(f"two methods are compared on the same seeds, not on {len(a)} and {len(b)}")
    values = np.array([value_a - value_b for (value_a, _), (value_b, _) in zip(a, b, strict=True)])
    groups = _paired_groups(a, b)
    if groups is None or not np.isfinite(values).all():
        return _over_seeds(values, level)
    difference = float(np.mean(values))
    if not any(group.any() for group in groups):
        return Difference(difference, difference, difference, 1.0, "identical scores")
    return _over_examples(difference, len(values), groups, numpy_generator(rng), level)


def paired_t_matrix(values: npt.ArrayLike, level: float = 0.95) -> tuple[Array, Array, Array, Array]:
    """Seed-paired Student's t for all pairs of k methods at once, from values (k, S).

    Gives `(difference, low, high, p)`, each (k, k). Entry [i, j] is of values[i] - values[j] over the seeds
    that both have (NaN: the seed is missing). With fewer than two such seeds low and high are NaN and p is
    1; p is 1 too where nothing differs.
    """
    values = as_array(values)
    shape = (len(values), len(values))
    count, total, squares = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    with np.errstate(invalid="ignore", divide="ignore"):
        for column in values.T:
            gap = column[:, None] - column
            count += ~np.isnan(gap)
            total += np.where(np.isnan(gap), 0.0, gap)
        difference = total / count
        for column in values.T:
            squares += np.nan_to_num(column[:, None] - column - difference, posinf=0.0, neginf=0.0) ** 2
        error = np.sqrt(squares / (count - 1) / count)
        low, high, p = _student(difference, error, count - 1, level)
    return difference, low, high, p


def holm(p_values: npt.ArrayLike) -> Array:
    """Holm's adjusted p-values (Holm 1979), in the order given: those below alpha hold together at alpha."""
    p_values = as_array(p_values)
    order = np.argsort(p_values)
    steps = np.maximum.accumulate(p_values[order] * np.arange(len(order), 0, -1))
    adjusted = np.empty_like(p_values)
    adjusted[order] = np.minimum(steps, 1.0)
    return adjusted


def rank_intervals(
    difference: npt.ArrayLike,
    p_adjusted: npt.ArrayLike,
    better: Literal["higher", "lower"],
    alpha: float = 0.05,
) -> npt.NDArray[np.int64]:
    """Best and worst possible rank of each of k methods, (k, 2): [1, 3] reads "1-3".

    `difference` (k, k): value of row minus value of column; `p_adjusted` (k, k): Holm-adjusted, symmetric.
    Best rank = 1 + the number significantly better; worst = k - the number significantly worse.
    """
    difference, p_adjusted = as_array(difference), as_array(p_adjusted)
    ahead = difference > 0 if better == "higher" else difference < 0
    beats = ahead & (p_adjusted < alpha)
    return np.stack([1 + beats.sum(axis=0), len(beats) - beats.sum(axis=1)], axis=1)


def _paired_groups(a: Sequence[Scored], b: Sequence[Scored]) -> list[Array] | None:
    """Differences of the contributions, one array a seed and group; None where they do not pair."""
    groups: list[Array] = []
    for (_, scores_a), (_, scores_b) in zip(a, b, strict=True):
        if not scores_a or scores_a.keys() != scores_b.keys():
            return None
        for name, contributions in scores_a.items():
            left, right = as_array(contributions).ravel(), as_array(scores_b[name]).ravel()
            if left.shape != right.shape or len(left) < 2:
                return None
            groups.append(left - right)
    return groups if all(np.isfinite(group).all() for group in groups) else None


def _over_seeds(values: Array, level: float) -> Difference:
    """Student's t over the seeds' differences."""
    if len(values) < 2 or not np.isfinite(values).all():
        reason = "one seed" if len(values) < 2 else "not finite"
        with np.errstate(invalid="ignore"):
            return Difference(float(np.mean(values)), None, None, 1.0, f"none: {reason}")
    error = np.std(values, ddof=1) / np.sqrt(len(values))
    low, high, p = _student(np.mean(values), error, np.float64(len(values) - 1), level)
    return Difference(
        float(np.mean(values)), float(low), float(high), float(p), f"paired t over {len(values)} seeds"
    )


def _over_examples(
    difference: float, seeds: int, groups: Sequence[Array], rng: np.random.Generator, level: float
) -> Difference:
    """The bootstrap of the paired differences: its limit where that is good enough, else drawn."""
    variances = np.array([np.var(group, ddof=1) / len(group) for group in groups])
    error = float(np.sqrt(variances.sum())) / seeds
    freedom = _welch(variances, np.array([len(group) for group in groups]))
    if error == 0 or _nearly_normal(groups):
        low, high, p = _student(np.float64(difference), np.float64(error), np.float64(freedom), level)
        return Difference(difference, float(low), float(high), float(p), "paired bootstrap, its limit")
    drawn = _drawn(groups, rng)
    p_value = _drawn_p(drawn, abs(difference) / error, freedom)
    half = float(np.quantile(drawn, level, method="higher")) * error
    if not np.isfinite(half):  # so few examples differ that a resample often holds none of them
        return Difference(difference, None, None, p_value, "paired bootstrap, drawn")
    return Difference(difference, difference - half, difference + half, p_value, "paired bootstrap, drawn")


def _welch(variances: Array, sizes: npt.NDArray[np.int64]) -> float:
    """Welch and Satterthwaite's degrees of freedom of a sum of means with these variances."""
    if not variances.any():
        return float(np.sum(sizes - 1))
    return float(np.sum(variances) ** 2 / np.sum(variances**2 / (sizes - 1)))


def _nearly_normal(groups: Sequence[Array]) -> bool:
    """Whether the bootstrap distribution of the sum of the groups' means is close to normal.

    Its cumulants are sums over groups: m2 / n, m3 / n^2 and (m4 - 3 m2^2) / n^3 of the central moments.
    """
    second = third = fourth = 0.0
    for group in groups:
        n, centred = len(group), group - group.mean()
        squares = centred * centred
        m2, m3, m4 = squares.mean(), (squares * centred).mean(), (squares * squares).mean()
        second, third, fourth = second + m2 / n, third + m3 / n**2, fourth + (m4 - 3 * m2**2) / n**3
    return bool(abs(third) < _NEARLY_NORMAL * second**1.5 and abs(fourth) < _NEARLY_NORMAL * second**2)


def _drawn(groups: Sequence[Array], rng: np.random.Generator) -> Array:
    """|t| of bootstrap resamples: (sum of resampled means - sum of means) over its own standard error."""
    urns = [_Urn(group - group.mean()) for group in groups]
    resamples = int(np.clip(_WORK // sum(urn.work for urn in urns), 999, RESAMPLES))
    shift, variance = np.zeros(resamples), np.zeros(resamples)
    for urn in urns:
        for rows in np.array_split(np.arange(resamples), 1 + resamples * urn.work // 2**20):
            mean, square = urn.moments(len(rows), rng)
            shift[rows] += mean
            variance[rows] += np.maximum(square - mean**2, 0) / (urn.size - 1)
    variance[variance < 1e-12 * variance.mean()] = 0  # rounding where all resampled differences are equal
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(variance > 0, np.abs(shift) / np.sqrt(variance), np.inf)


class _Urn:
    """n values to be drawn from with replacement.

    Where few of them are distinct (two defenses that disagree on five images), a resample is a multinomial
    count of how often each is taken, which is quicker than n draws. `work`: numbers drawn for a resample.
    """

    def __init__(self, values: Array) -> None:
        self.values, self.size = values, len(values)
        self.levels, self.counts = np.unique(values, return_counts=True)
        self.counted = len(self.levels) < self.size // 8
        self.work = len(self.levels) if self.counted else self.size

    def moments(self, resamples: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """The means of the values and of their squares in each resample."""
        if self.counted:
            taken = rng.multinomial(self.size, self.counts / self.size, size=resamples)
            return taken @ self.levels / self.size, taken @ self.levels**2 / self.size
        drawn = self.values[rng.integers(self.size, size=(resamples, self.size), dtype=np.int32)]
        return drawn.mean(axis=1), np.einsum("ij,ij->i", drawn, drawn) / self.size


def _drawn_p(drawn: Array, observed: float, freedom: float) -> float:
    """Share of resampled |t| that reach the observed one.

    Where fewer than ten do, counting says little, and p could never be small enough for Holm on a large
    board: there the tail is Student's, stretched so that it meets the drawn one at its 99 % quantile.
    """
    reached = int(np.count_nonzero(drawn >= observed * (1 - 1e-9)))
    counted = (1 + reached) / (1 + len(drawn))
    edge = float(np.quantile(drawn, 0.99, method="higher"))
    if reached >= 10 or not np.isfinite(edge):
        return counted
    stretch = edge / float(stdtrit(freedom, 0.995))
    return min(counted, 2 * float(stdtr(freedom, -observed / stretch)))


def _student(difference: _Real, error: _Real, freedom: _Real, level: float) -> tuple[Array, Array, Array]:
    """Interval and two-sided p of Student's t; no difference at all gives p = 1, no freedom p = 1 and NaN."""
    known = np.isfinite(difference) & (freedom >= 1)
    half = np.where(known, stdtrit(np.maximum(freedom, 1), (1 + level) / 2) * error, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        p = 2 * stdtr(np.maximum(freedom, 1), -np.abs(difference / error))
    return difference - half, difference + half, np.where(known & (difference != 0), p, 1.0)
