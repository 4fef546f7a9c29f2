"""What measures of codes against factors share: checks, histograms, mutual information, a held-out part.

Codes are real numbers (n, d), factors integers (n, k): row i of both belongs to one image.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mfbench.measures.convert import Array, Generator, Values, as_array, numpy_generator

Labels = NDArray[np.int64]

BINS = 20
"""Of the histograms in which codes become discrete (Locatello et al. 2019)."""
_SEED = 20181129
"""Of the split into a part to learn from and a held-out part, where the caller has no generator."""


def codes_and_factors(
    codes: Values,
    factors: Values,
    *,
    codes_at_least: int = 1,
    factors_at_least: int = 1,
    varying: bool = True,
) -> tuple[Array, Labels]:
    """Finite codes (n, d) and integer factors (n, k), each of which varies if asked for; or ValueError."""
    code = as_array(codes)
    factor = as_labels(factors, "factors")
    if code.ndim != 2 or code.shape[1] < codes_at_least:
        raise ValueError(f"codes must have shape (n, d) with d >= {codes_at_least}, not {code.shape}")
    if not np.isfinite(code).all():
        raise ValueError("codes must be finite")
    _same_rows(len(code), factor, "codes")
    if varying:
        _all_vary(factor)
    if factor.shape[1] < factors_at_least:
        raise ValueError(f"factors must have shape (n, k) with k >= {factors_at_least}, not {factor.shape}")
    return code, factor


def factors_and_symbols(factors: Values, symbols: Values) -> tuple[Labels, Labels]:
    """Integer factors (n, k), each of which varies, and messages (n, length); or ValueError."""
    factor, symbol = as_labels(factors, "factors"), as_labels(symbols, "symbols")
    _same_rows(len(symbol), factor, "symbols")
    _all_vary(factor)
    return factor, symbol


def as_labels(values: Values, name: str) -> Labels:
    """Integers (n, k), n and k at least 1, of whatever type they are held in; ValueError for fractions."""
    given = as_array(values)
    if given.ndim != 2 or not given.size:
        raise ValueError(f"{name} must be integers of shape (n, k) with n, k >= 1, not {given.shape}")
    whole = (np.abs(given) < 2**53) & (
        given == np.rint(given)
    )  # beyond, floats skip integers; NaN is neither
    if not whole.all():
        row, column = np.argwhere(~whole)[0]
        raise ValueError(
            f"{name} must be integers: column {column} holds {given[row, column]:g} (bin what is continuous)"
        )
    return given.astype(np.int64)


def histogram_bins(codes: Array, bins: int = BINS) -> Labels:
    """The bin, 0 to bins - 1, of each code among bins of equal width between its column's extremes."""
    if bins < 2:
        raise ValueError(f"bins = {bins}: a histogram needs two or more")
    binned = np.empty(codes.shape, dtype=np.int64)
    for i, column in enumerate(codes.T):
        edges = np.linspace(column.min(), column.max(), bins + 1)
        binned[:, i] = np.searchsorted(edges[1:-1], column, side="right")
    return binned


def mutual_information(a: Labels, b: Labels) -> Array:
    """I(a_i; b_j) in nats, (d, k), between the columns of a (n, d) and of b (n, k): the plug-in estimate.

    Biased upwards by about (values of a_i - 1) (values of b_j - 1) / (2 n) where nothing is shared.
    """
    a, b = _ranked(a), _ranked(b)
    return np.array([[_shared(left, right) for right in b.T] for left in a.T])


def _shared(a: Labels, b: Labels) -> float:
    """I(a; b) in nats of two columns of ranks."""
    width = int(b.max()) + 1
    joint = np.bincount(a * width + b, minlength=(int(a.max()) + 1) * width).reshape(-1, width) / len(a)
    apart = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0)
    there = joint > 0
    return max(0.0, float(np.sum(joint[there] * np.log(joint[there] / apart[there]))))


def entropies(labels: Labels) -> Array:
    """The entropy in nats of each column of labels (n, k), (k,)."""
    from scipy.stats import entropy

    return np.array([entropy(np.bincount(column)) for column in _ranked(labels).T])


def first_two_apart(values: Array) -> Array:
    """In each column of (m, k) values, m >= 2, the largest less the second largest, (k,)."""
    top = np.partition(values, -2, axis=0)
    gap: Array = top[-1] - top[-2]
    return gap


def held_out(count: int, factors: Labels, rng: Generator | None) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows to learn from (two thirds) and held-out rows (a third), shuffled; always the same without `rng`.

    ValueError where a factor has only one value among the rows to learn from.
    """
    generator = np.random.default_rng(_SEED) if rng is None else numpy_generator(rng)
    if count < 3:
        raise ValueError(f"{count} samples: three or more are needed to hold a third of them out")
    order = generator.permutation(count)
    learn, test = order[: count - count // 3], order[count - count // 3 :]
    for j, column in enumerate(factors[learn].T):
        if np.ptp(column) == 0:
            raise ValueError(
                f"factor {j} has one value among the {len(learn)} samples to learn from: give more samples"
            )
    return learn, test


def _same_rows(count: int, factors: Labels, name: str) -> None:
    if count != len(factors):
        raise ValueError(f"{name} and factors must have one row an image, not {count} and {len(factors)}")


def _all_vary(factors: Labels) -> None:
    for j, column in enumerate(factors.T):
        if np.ptp(column) == 0:
            raise ValueError(
                f"factor {j} is {column[0]} in all {len(column)} samples: leave out what does not vary"
            )


def _ranked(labels: Labels) -> Labels:
    """Each column's values as 0, 1, 2, ... in their order."""
    return np.stack([np.unique(column, return_inverse=True)[1] for column in labels.T], axis=1)
