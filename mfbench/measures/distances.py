"""Distances between two sets of samples, (n, ...) and (m, ...), of one space.

Means over all pairs are taken block by block, so that 10,000 x 10,000 pairs need some tens of megabytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from mfbench.measures.convert import Array, Generator, Values, as_samples, numpy_generator, same_dimension

_BLOCK = 2**22
"""Numbers in one block (32 MiB in float64)."""


def sliced_wasserstein(
    x: Values, y: Values, *, rng: Generator, projections: int = 512, order: float = 2.0
) -> float:
    """Sliced Wasserstein distance of the given order p (Bonneel et al. 2015), >= 0, in the units of x.

    (mean over random unit directions of W_p^p between the projected samples)^(1/p); each W_p is exact, also
    for sets of different sizes. In one dimension it is W_p itself.
    """
    x, y = as_samples(x, "x"), as_samples(y, "y")
    same_dimension(x, y)
    directions = numpy_generator(rng).standard_normal((projections, x.shape[1]))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    weights, rows_x, rows_y = _matched_quantiles(len(x), len(y))
    total = 0.0
    width = max(1, _BLOCK // (len(x) + len(y)))
    for start in range(0, projections, width):
        block = directions[start : start + width]
        quantiles_x, quantiles_y = np.sort(block @ x.T), np.sort(block @ y.T)
        gaps = np.abs(quantiles_x[:, rows_x] - quantiles_y[:, rows_y]) ** order
        total += float((gaps @ weights).sum())
    return float((total / projections) ** (1 / order))


def energy_distance(x: Values, y: Values) -> float:
    """Energy distance 2 E|X - Y| - E|X - X'| - E|Y - Y'| (Székely and Rizzo 2013), in the units of x.

    The unbiased U-statistic (no sample is paired with itself): 0 on average for equal distributions, so
    small negative values are legal. At least two samples a set.
    """
    x, y = as_samples(x, "x", 2), as_samples(y, "y", 2)
    same_dimension(x, y)

    def distance(squared: Array) -> Array:
        return np.sqrt(squared, out=squared)

    return 2 * _mean_pairs(x, y, distance) - _mean_within(x, distance) - _mean_within(y, distance)


def maximum_mean_discrepancy(samples: Values, reference: Values, *, bandwidth: float | None = None) -> float:
    """Squared MMD with the kernel exp(-|a - b|^2 / (2 bandwidth^2)) (Gretton et al. 2012, Eq. 3), at most 2.

    The unbiased U-statistic: 0 on average for equal distributions, small negative values are legal. The
    bandwidth is by default `median_heuristic(reference)`: of the reference alone, so that all sets of
    samples held against one reference are measured with one kernel.
    """
    x, y = as_samples(samples, "samples", 2), as_samples(reference, "reference", 2)
    same_dimension(x, y)
    bandwidth = median_heuristic(y) if bandwidth is None else bandwidth
    if not bandwidth > 0:
        raise ValueError(f"the bandwidth must be positive, not {bandwidth}")

    def kernel(squared: Array) -> Array:
        squared *= -0.5 / bandwidth**2
        return np.exp(squared, out=squared)

    return _mean_within(x, kernel) + _mean_within(y, kernel) - 2 * _mean_pairs(x, y, kernel)


def median_heuristic(reference: Values, *, at_most: int = 2000) -> float:
    """Median distance between two of the first `at_most` reference samples: the usual kernel bandwidth."""
    from scipy.spatial.distance import pdist

    return float(np.median(pdist(as_samples(reference, "reference", 2)[:at_most])))


def _matched_quantiles(n: int, m: int) -> tuple[Array, np.ndarray, np.ndarray]:
    """Pieces of [0, 1] on which both empirical quantile functions are constant: lengths, rows of x and of y.

    In units of 1 / (n m), where every breakpoint is an integer.
    """
    ends = np.unique(np.concatenate([np.arange(1, n + 1) * m, np.arange(1, m + 1) * n]))
    weights = np.diff(ends, prepend=0) / (n * m)
    return weights, (ends - 1) // m, (ends - 1) // n


def _mean_pairs(x: Array, y: Array, function: Callable[[Array], Array]) -> float:
    """Mean of `function(squared distance)` over all pairs (x_i, y_j)."""
    return sum(float(function(block).sum()) for _, block in squared_distances(x, y)) / (len(x) * len(y))


def _mean_within(x: Array, function: Callable[[Array], Array]) -> float:
    """Mean of `function(squared distance)` over all pairs (x_i, x_j), i != j."""
    total = 0.0
    for rows, block in squared_distances(x, x):
        block = function(block)
        own = block[np.arange(len(block)), np.arange(rows.start, rows.stop)]
        total += float(block.sum() - own.sum())
    return total / (len(x) * (len(x) - 1))


def squared_distances(x: Array, y: Array) -> Iterator[tuple[slice, Array]]:
    """Blocks of rows of the (n, m) matrix of squared Euclidean distances, each the caller's to change."""
    from sklearn.metrics.pairwise import euclidean_distances

    norms = np.einsum("ij,ij->i", y, y)[None, :]
    height = max(1, _BLOCK // len(y))
    for start in range(0, len(x), height):
        rows = slice(start, min(start + height, len(x)))
        yield rows, euclidean_distances(x[rows], y, Y_norm_squared=norms, squared=True)
