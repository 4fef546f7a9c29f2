"""Divergences in closed form, in nats."""

from __future__ import annotations

import numpy as np

from mfbench.measures.convert import Array, Values, as_array, as_samples


def bernoulli_kl(p: Values, q: Values) -> Array:
    """KL(Bernoulli(p) || Bernoulli(q)) in nats, >= 0, of probabilities p and q of shapes that broadcast.

    p log(p / q) + (1 - p) log((1 - p) / (1 - q)), with 0 log 0 = 0; infinite where q is 0 or 1 and p is not.
    ValueError for what is no probability. Small where p is near 0 or 1, whatever the dependence: compare
    attributes of unlike prevalence by a normalised quantity beside it.
    """
    from scipy.special import rel_entr

    p, q = _probabilities(p, "p"), _probabilities(q, "q")
    divergence: Array = rel_entr(p, q) + rel_entr(1 - p, 1 - q)
    return np.maximum(divergence, 0.0)  # equal probabilities may miss 0 by a rounding error


def gaussian_total_correlation(codes: Values) -> float:
    """Total correlation in nats, >= 0, of a Gaussian with the covariance of codes (n, d), n >= 2.

    -1/2 log det of the correlation matrix: KL between the joint law and the product of its margins (Watanabe
    1960), 0 where codes are uncorrelated. Codes that do not vary count as independent; infinite where one is
    a linear function of others, n <= d included. Other laws of the same covariance may share more or less.
    """
    code = as_samples(codes, "codes", 2)
    varying = code[:, np.ptp(code, axis=0) > 0]
    if varying.shape[1] < 2:
        return 0.0
    correlation = np.atleast_2d(np.corrcoef(varying, rowvar=False))
    if np.linalg.matrix_rank(correlation, hermitian=True) < len(correlation):
        return float("inf")
    return max(0.0, float(-0.5 * np.linalg.slogdet(correlation).logabsdet))


def _probabilities(values: Values, name: str) -> Array:
    given = as_array(values)
    wrong = ~((given >= 0) & (given <= 1))  # NaN, too
    if wrong.any():
        raise ValueError(f"{name} must be probabilities in [0, 1], not {given[wrong].flat[0]:g}")
    return given
