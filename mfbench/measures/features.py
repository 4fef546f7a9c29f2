"""Distances between the features, (n, d) and (m, d), of samples and of data, whatever network made them.

These are the numbers behind KID and FID; on features of another network than Inception they are neither, and
compare only with themselves.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import ndtri

from mfbench.measures.convert import Array, Generator, Values, as_samples, numpy_generator, same_dimension
from mfbench.measures.intervals import Interval, student

_BLOCK = 2**22
"""Numbers in one block of a kernel matrix (32 MiB in float64)."""


def kernel_distance(
    features_a: Values,
    features_b: Values,
    *,
    subset_size: int | None = None,
    rng: Generator | None = None,
    level: float = 0.95,
) -> Interval:
    """Squared MMD with the kernel (a . b / d + 1)^3: the kernel inception distance of Bińkowski et al. 2018.

    Unbiased: 0 on average for equal distributions, small negative values are legal. Their average over random
    subsets is an estimate of the U-statistic over all pairs, which is what is computed here: the same
    expectation, and the least variance. The standard error is the two-sample jackknife's (too wide by up to
    the square root of two where both laws agree; None below three samples a set).

    `subset_size`: for sets too large for all pairs. Both are dealt at random (with `rng`) into disjoint
    subsets of so many samples; value, error and interval (Student's) are those of the mean over the subsets.
    """
    a, b = as_samples(features_a, "features_a", 2), as_samples(features_b, "features_b", 2)
    same_dimension(a, b)
    if subset_size is None:
        return _all_pairs(a, b, level)
    if rng is None:
        raise ValueError("subsets are dealt at random: give `rng`")
    return student(_over_subsets(a, b, subset_size, numpy_generator(rng)), level)


def frechet_distance(features_a: Values, features_b: Values) -> float:
    """|m_a - m_b|^2 + tr(S_a + S_b - 2 (S_a S_b)^(1/2)), >= 0: FID's formula (Heusel et al. 2017).

    The squared 2-Wasserstein distance of two Gaussians with the sets' means and covariances. With S = R^T R,
    the trace of the root is the sum of the singular values of R_a R_b^T; R comes from the QR decomposition of
    the centred features, so nothing is squared, inverted or rooted, and singular covariances (n < d) do no
    harm. Biased upwards by about d / n, more where n < d: compare equal n only.
    """
    a, b = as_samples(features_a, "features_a", 2), as_samples(features_b, "features_b", 2)
    same_dimension(a, b)
    root_a, root_b = _covariance_root(a), _covariance_root(b)
    cross = float(np.linalg.svd(root_a @ root_b.T, compute_uv=False).sum())
    apart = float(np.square(a.mean(axis=0) - b.mean(axis=0)).sum())
    return max(0.0, apart + float(np.square(root_a).sum() + np.square(root_b).sum()) - 2 * cross)


def _covariance_root(features: Array) -> Array:
    """R (min(n, d), d) with R^T R the covariance, over n - 1."""
    centred = (features - features.mean(axis=0)) / np.sqrt(len(features) - 1)
    return np.asarray(np.linalg.qr(centred, mode="r"))


def _all_pairs(a: Array, b: Array, level: float) -> Interval:
    """The U-statistic with its jackknife's normal interval: every sample left out once, in closed form."""
    n, m = len(a), len(b)
    own_a, own_b = _kernel_sums(a, a)[0] - _kernel_self(a), _kernel_sums(b, b)[0] - _kernel_self(b)
    of_a, of_b = _kernel_sums(a, b)
    pairs_a, pairs_b, across = own_a.sum(), own_b.sum(), of_a.sum()
    value = float(_unbiased(pairs_a, pairs_b, across, n, m))
    if min(n, m) < 3:
        return Interval(value, None, None, None, "none: fewer than three samples")
    without_a = _unbiased(pairs_a - 2 * own_a, pairs_b, across - of_a, n - 1, m)
    without_b = _unbiased(pairs_a, pairs_b - 2 * own_b, across - of_b, n, m - 1)
    error = float(np.sqrt((n - 1) * np.var(without_a) + (m - 1) * np.var(without_b)))
    half = float(ndtri((1 + level) / 2)) * error
    return Interval(value, value - half, value + half, error, "jackknife")


def _unbiased(pairs_a: Any, pairs_b: Any, across: Any, n: int, m: int) -> Any:
    """Squared MMD from the kernel's sums over ordered pairs i != j of each set, and over all pairs across."""
    return pairs_a / (n * (n - 1)) + pairs_b / (m * (m - 1)) - 2 * across / (n * m)


def _over_subsets(a: Array, b: Array, size: int, rng: np.random.Generator) -> Array:
    """The distance between the subsets of each pair; what does not fill a subset is left out."""
    fewest = min(len(a), len(b))
    if not 2 <= size <= fewest:
        raise ValueError(f"subset_size = {size}: at least 2, and at most {fewest}, the smaller set's size")
    count = fewest // size
    dealt_a = rng.permutation(len(a))[: count * size].reshape(count, size)
    dealt_b = rng.permutation(len(b))[: count * size].reshape(count, size)
    return np.array([_all_pairs(a[i], b[j], 0.95).value for i, j in zip(dealt_a, dealt_b)])


def _kernel_sums(a: Array, b: Array) -> tuple[Array, Array]:
    """Sums of the kernel's matrix (n, m), block by block: of its rows (n,) and of its columns (m,)."""
    rows, columns = np.empty(len(a)), np.zeros(len(b))
    height = max(1, _BLOCK // len(b))
    for start in range(0, len(a), height):
        block = (a[start : start + height] @ b.T / a.shape[1] + 1) ** 3
        rows[start : start + height] = block.sum(axis=1)
        columns += block.sum(axis=0)
    return rows, columns


def _kernel_self(a: Array) -> Array:
    """The kernel of each sample with itself, (n,)."""
    itself: Array = (np.einsum("ij,ij->i", a, a) / a.shape[1] + 1) ** 3
    return itself
