"""The kernel distance of features, KID's formula, as contributions of the single images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri
from torch import Tensor

from mfbench.contracts import HasFeatures, Value
from mfbench.errors import UserError
from mfbench.measures.convert import as_samples

Array = NDArray[Any]


@dataclass(frozen=True)
class Kernel:
    """The unbiased distance, and the jackknife's pseudo-values of each sample and each held-out image: their
    means are the value, and var(samples) / n + var(held_out) / m is the jackknife's variance of it.
    """

    value: float
    samples: Array
    held_out: Array

    def as_value(self, metric: str, part: str = "") -> Value:
        """The value with its normal interval, at 95 %."""
        groups = (self.samples, self.held_out)
        half = float(ndtri(0.975) * np.sqrt(sum(np.var(group, ddof=1) / len(group) for group in groups)))
        return Value(metric, part, self.value, len(self.samples), self.value - half, self.value + half)


def require_features(features: Any, who: str) -> None:
    """UserError, naming the protocol `who`, unless it has the ability."""
    if not isinstance(features, HasFeatures):
        raise UserError(
            f"{who}: features = {type(features).__name__} has no features; a classifier with the ability "
            "HasFeatures, as the defense cnn, is right"
        )


def kernel_to(samples: Tensor, held_out: Tensor) -> Kernel:
    """`measures.kernel_distance` of features (n, d) and (m, d), n, m >= 3, by images.

    k(a, b) = (a . b / d + 1)^3. Without image i the U-statistic is that of the sums less those of row i.
    """
    a, b = as_samples(samples, "samples", 3), as_samples(held_out, "held_out", 3)
    n, m = len(a), len(b)
    own_a, own_b, across = _off_diagonal(a), _off_diagonal(b), _kernel(a, b)
    pairs_a, pairs_b, total = own_a.sum(), own_b.sum(), across.sum()

    def unbiased(of_a: Any, of_b: Any, between: Any, n: int, m: int) -> Any:
        return of_a / (n * (n - 1)) + of_b / (m * (m - 1)) - 2 * between / (n * m)

    value = float(unbiased(pairs_a, pairs_b, total, n, m))
    without_a = unbiased(pairs_a - 2 * own_a, pairs_b, total - across.sum(1), n - 1, m)
    without_b = unbiased(pairs_a, pairs_b - 2 * own_b, total - across.sum(0), n, m - 1)
    return Kernel(value, n * value - (n - 1) * without_a, m * value - (m - 1) * without_b)


def _off_diagonal(x: Array) -> Array:
    """Sums of the kernel's rows (n,) without an image's kernel with itself."""
    matrix = _kernel(x, x)
    np.fill_diagonal(matrix, 0.0)
    sums: Array = matrix.sum(1)
    return sums


def _kernel(a: Array, b: Array) -> Array:
    matrix: Array = (a @ b.T / a.shape[1] + 1) ** 3
    return matrix
