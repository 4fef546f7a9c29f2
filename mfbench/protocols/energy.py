"""The energy distance of samples to held-out data, as contributions of the single samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri
from torch import Tensor

from mfbench.contracts import Value
from mfbench.measures.convert import as_samples
from mfbench.measures.distances import squared_distances

Array = NDArray[Any]


@dataclass(frozen=True)
class Energy:
    """The unbiased energy distance, and what each sample and each held-out sample contributes to it.

    The contributions are the value plus the U-statistic's first-order (Hájek) projection, scaled so that
    var(samples) / n + var(held_out) / m is the variance of the value, second order included: where the two
    laws agree, the first order vanishes and the second is all there is.
    """

    value: float
    samples: Array
    held_out: Array

    def as_value(self, metric: str) -> Value:
        """The value with its normal interval, at 95 %."""
        groups = (self.samples, self.held_out)
        half = float(ndtri(0.975) * np.sqrt(sum(np.var(group, ddof=1) / len(group) for group in groups)))
        return Value(metric, "", self.value, len(self.samples), self.value - half, self.value + half)


@dataclass(frozen=True)
class _Distances:
    """Of the (n, m) matrix of distances: row means, column means, and the mean square of what they leave."""

    rows: Array
    columns: Array
    residual: float

    @property
    def mean(self) -> float:
        return float(self.rows.mean())


def energy_to(samples: Tensor, held_out: Tensor) -> Energy:
    """2 E|X - Y| - E|X - X'| - E|Y - Y'|, X of `samples` (n, ...), Y of `held_out` (m, ...), n, m >= 2."""
    x, y = as_samples(samples, "samples", 2), as_samples(held_out, "held_out", 2)
    n, m = len(x), len(y)
    between, within_x, within_y = _distances(x, y), _distances(x, x), _distances(y, y)
    unbiased_x, unbiased_y = n / (n - 1), m / (m - 1)  # the distance of a sample to itself does not count
    value = 2 * between.mean - unbiased_x * within_x.mean - unbiased_y * within_y.mean
    of_x = 2 * (between.rows - between.mean) - 2 * unbiased_x * (within_x.rows - within_x.mean)
    of_y = 2 * (between.columns - between.mean) - 2 * unbiased_y * (within_y.rows - within_y.mean)
    first = float(np.var(of_x, ddof=1) / n + np.var(of_y, ddof=1) / m)
    second = (
        4 * between.residual / (n * m)
        + 2 * within_x.residual / (n * (n - 1))
        + 2 * within_y.residual / (m * (m - 1))
    )
    # the estimated projections carry noise of twice the second order: first - 2 second estimates the first
    scale = np.sqrt(max(first - second, second) / first) if first else 1.0
    return Energy(value, value + scale * of_x, value + scale * of_y)


def _distances(x: Array, y: Array) -> _Distances:
    rows, columns, square = np.empty(len(x)), np.zeros(len(y)), 0.0
    for block, squared in squared_distances(x, y):
        if x is y:
            squared[np.arange(len(squared)), np.arange(block.start, block.stop)] = 0  # not its rounding
        square += float(squared.sum())
        distance = np.sqrt(squared, out=squared)
        rows[block] = distance.mean(axis=1)
        columns += distance.sum(axis=0)
    columns /= len(x)
    left = square / (len(x) * len(y)) - np.mean(rows**2) - np.mean(columns**2) + np.mean(rows) ** 2
    return _Distances(rows, columns, max(0.0, float(left)))
