"""Intervals around a single number, each saying how it was made.

`low` and `high` are None where no interval can be given (one seed without a standard error, one example).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit, ndtri, stdtrit

from mfbench.measures.convert import Generator, Values, as_scores, numpy_generator
from mfbench.measures.ranking import placements

FEWEST_SEEDS = 5
"""From this many seeds on, the spread over seeds speaks for itself; below, the spread within them does."""


@dataclass(frozen=True)
class Interval:
    """A number with a confidence interval; `method` names how the interval was made."""

    value: float
    low: float | None
    high: float | None
    standard_error: float | None
    method: str


def delong(scores_in: Values, scores_out: Values, level: float = 0.95) -> Interval:
    """AUROC with DeLong's interval, on the logit scale so that it stays inside (0, 1).

    The variance degenerates where all pairs agree (AUROC 0 or 1, or every score tied); there the interval
    is exact: see `_all_pairs_agree`. With a single example on a side nothing is known: [0, 1].
    """
    v10, v01 = placements(scores_in, scores_out)
    value = float(np.mean(v10))
    fewest = min(len(v10), len(v01))
    if fewest < 2:
        return Interval(value, 0.0, 1.0, None, "none: a single example on a side")
    error = float(np.sqrt(np.var(v10, ddof=1) / len(v10) + np.var(v01, ddof=1) / len(v01)))
    if error == 0:
        return _all_pairs_agree(value, fewest, level)
    half = _normal_quantile(level) * error / (value * (1 - value))
    return Interval(
        value, float(expit(logit(value) - half)), float(expit(logit(value) + half)), error, "delong"
    )


def _all_pairs_agree(value: float, fewest: int, level: float) -> Interval:
    """Clopper-Pearson for an AUROC whose every pair counts the same: 1, 0, or 1/2 (all tied).

    `fewest` = min(m, n) disjoint pairs are independent trials that count on average A = AUROC. All of them
    count 1 with probability at most A^fewest, all of them 1/2 at most (2 min(A, 1 - A))^fewest; the interval
    holds the A for which that reaches (1 - level) / 2. `standard_error` is the one a normal interval of the
    same width would have.
    """
    least = ((1 - level) / 2) ** (1 / fewest)
    low, high = {0.0: (0.0, 1 - least), 0.5: (least / 2, 1 - least / 2), 1.0: (least, 1.0)}[value]
    error = max(value - low, high - value) / _normal_quantile(level)
    return Interval(value, low, high, error, "exact: all pairs agree")


def wilson(successes: int, n: int, level: float = 0.95) -> Interval:
    """A proportion with Wilson's score interval, 0 <= successes <= n, n >= 1."""
    from scipy.stats import binomtest

    share = successes / n
    interval = binomtest(successes, n).proportion_ci(level, method="wilson")
    error = float(np.sqrt(share * (1 - share) / n))
    return Interval(share, float(interval.low), float(interval.high), error, "wilson")


def student(values: Values, level: float = 0.95) -> Interval:
    """The mean of (n,) independent values with Student's t interval; none for a single value."""
    values = as_scores(values, "values")
    mean = float(np.mean(values))
    if len(values) < 2 or not np.isfinite(mean):
        return Interval(mean, None, None, None, "none: one value" if len(values) < 2 else "none: infinite")
    error = float(np.std(values, ddof=1) / np.sqrt(len(values)))
    half = float(stdtrit(len(values) - 1, (1 + level) / 2)) * error
    return Interval(mean, mean - half, mean + half, error, "student")


def bootstrap_mean(values: Values, *, rng: Generator, resamples: int = 2000, level: float = 0.95) -> Interval:
    """The mean of (n,) independent values with SciPy's bias-corrected and accelerated bootstrap (BCa)."""
    from scipy.stats import bootstrap

    values = as_scores(values, "values")
    if len(values) < 2 or np.ptp(values) == 0:
        return student(values, level)
    result = bootstrap(
        (values,),
        np.mean,
        n_resamples=resamples,
        batch=max(1, 2**22 // len(values)),
        confidence_level=level,
        method="BCa",
        random_state=numpy_generator(rng),
    )
    low, high = (float(end) for end in result.confidence_interval)
    return Interval(float(np.mean(values)), low, high, float(result.standard_error), "bootstrap (BCa)")


def over_seeds(
    values: Sequence[float], standard_errors: Sequence[float | None] | None = None, level: float = 0.95
) -> Interval:
    """The mean over S seeds, and the interval that the number of seeds allows.

    From five seeds on Student's t over the seeds ("student over 5 seeds"). Below, where every seed has a
    standard error within it, the normal interval with SE = sqrt(sum of se^2) / S ("within 3 seeds"), which
    does not hold the spread of training; without them no interval is to be had, and the smallest and the
    largest value are shown for what they are ("range of 3 seeds"). Seeds that agree to the last digit show
    no spread, so there too the standard errors within them are used.
    """
    count = len(values)
    spread = student(values, level)
    given = () if standard_errors is None else standard_errors
    within = [error for error in given if error is not None and np.isfinite(error)]
    if len(within) == count and (count < FEWEST_SEEDS or spread.standard_error == 0):
        error = math.hypot(*within) / count  # not by BLAS, whose last digit depends on the processor
        half = _normal_quantile(level) * error
        return Interval(
            spread.value, spread.value - half, spread.value + half, error, f"within {count} seeds"
        )
    if 1 < count < FEWEST_SEEDS and np.all(np.isfinite(values)):
        return Interval(
            spread.value, float(np.min(values)), float(np.max(values)), None, f"range of {count} seeds"
        )
    method = f"student over {count} seeds" if spread.low is not None else spread.method
    return Interval(spread.value, spread.low, spread.high, spread.standard_error, method)


def _normal_quantile(level: float) -> float:
    """z with P(|N(0, 1)| <= z) = level."""
    return float(ndtri((1 + level) / 2))
