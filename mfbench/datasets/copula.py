"""Binary attributes with given prevalence and dependence: thresholds of a Gaussian (a Gaussian copula).

Two bits of prevalence 1/2 whose Gaussians have the correlation r are themselves correlated with
(2 / pi) arcsin r (Sheppard 1899).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from mfbench.errors import UserError
from mfbench.spelling import did_you_mean

Array = NDArray[np.float64]


def correlation_matrix(
    names: Sequence[str], correlated: Sequence[str], correlation: Sequence[float]
) -> Array:
    """The Gaussian's correlations, (k, k) in the order of `names`; those not in `correlated` are independent.

    `correlation`: one number for every pair of the m names in `correlated`, or the m x m matrix row by row.
    UserError for unknown or repeated names and for what is not a positive definite correlation matrix.
    """
    for name in correlated:
        if name not in names:
            raise UserError(f"correlated: no attribute {name!r}{did_you_mean(name, names)}")
    if len(set(correlated)) < len(correlated):
        raise UserError("correlated names an attribute twice")
    given = _square(len(correlated), correlation)
    _check(given)
    matrix = np.eye(len(names))
    rows = [names.index(name) for name in correlated]
    matrix[np.ix_(rows, rows)] = given
    return matrix


def _square(count: int, correlation: Sequence[float]) -> Array:
    if len(correlation) == count * count and count != 1:
        return np.array(correlation, dtype=np.float64).reshape(count, count)
    if len(correlation) == 1 and count > 1:
        return np.where(np.eye(count, dtype=bool), 1.0, correlation[0])
    raise UserError(
        f"correlation has {len(correlation)} numbers for {count} correlated attributes: give one for every "
        f"pair, or the {count} x {count} matrix row by row, for two attributes or more"
    )


def _check(matrix: Array) -> None:
    if not np.array_equal(matrix, matrix.T):
        row, column = np.argwhere(matrix != matrix.T)[0]
        raise UserError(
            f"correlation is not symmetric: {matrix[row, column]:g} in row {row + 1}, column {column + 1}, "
            f"{matrix[column, row]:g} across the diagonal"
        )
    if not np.all(np.diag(matrix) == 1):
        raise UserError("correlation needs ones on its diagonal")
    smallest = float(np.linalg.eigvalsh(matrix)[0]) if len(matrix) else 1.0
    if smallest < 1e-9:
        raise UserError(f"correlation is not positive definite: its smallest eigenvalue is {smallest:.3g}")


def grouped_bits(
    matrix: Array, probability: float, kept: int, group: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Zeros and ones (n, k), each one with `probability`; the first `kept` are the same within a group.

    Image i belongs to group[i] (n,), numbered from 0. A Gaussian vector with correlations `matrix` (k, k) is
    L e, with e standard normal and L its Cholesky factor. L is lower triangular, so the first `kept`
    components depend on the first `kept` of e alone: these are drawn once a group, the others once an image,
    and every image has exactly the given law.
    """
    shared = rng.standard_normal((int(group.max(initial=-1)) + 1, kept))
    own = rng.standard_normal((len(group), len(matrix) - kept))
    gaussian = np.concatenate([shared[group], own], 1) @ np.linalg.cholesky(matrix).T
    bits: NDArray[np.int64] = (gaussian < ndtri(probability)).astype(np.int64)
    return bits
