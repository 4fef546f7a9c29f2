"""InfoMEC: modularity, explicitness and compactness of codes in terms of information."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from mfbench.measures.convert import Array, Generator, Values, numpy_generator
from mfbench.measures.factors import Labels, as_labels, codes_and_factors, entropies, mutual_information

NEIGHBOURS = 10
ROUNDING = 1e-14
"""More than a sum of two scaled codes is off by, less than two of them are apart."""


@dataclass(frozen=True)
class InfoMEC:
    """InfoM, InfoE and InfoC, higher = better: in [0, 1] but for estimates that miss 0.

    information (d, k): I(c_i; v_j) / H(v_j). active (d,), bool: the codes that count for InfoM and InfoC.
    """

    modularity: float
    explicitness: float
    compactness: float
    information: Array = field(repr=False, compare=False)
    active: np.ndarray = field(repr=False, compare=False)


def infomec(
    codes: Values, factors: Values, *, discrete: bool = False, rng: Generator | None = None
) -> InfoMEC:
    """InfoMEC (Hsu et al. 2023, "Disentanglement via latent quantization").

    codes (n, d), real, or integers where `discrete`; factors (n, k), k >= 2, integers. With the normalised
    information N_ij = I(c_i; v_j) / H(v_j), from counts or by 10 nearest neighbours (`rng` breaks their
    ties): InfoM, the mean over active codes i of max_j N_ij / sum_j N_ij, and InfoC, the mean over factors j
    of max_i N_ij / sum_i N_ij, both scaled to 0 where shares are equal; InfoE, the mean over factors j of
    1 - L_j / H(v_j), where L_j is the cross-entropy of a logistic regression on all codes, on these samples.
    A code is active where its range exceeds a 20th of the widest (where `discrete`: 0). InfoC is 0 with fewer
    than two active codes.

    The published code weighs classes alike in the regression and not in the cross-entropy; here neither does,
    which makes no difference to uniform factors and is predictive V-information for all others.
    """
    code, factor = codes_and_factors(codes, factors, factors_at_least=2)
    seed = 0 if rng is None else int(numpy_generator(rng).integers(2**31))
    entropy = entropies(factor)
    if discrete:
        symbols = as_labels(code, "codes")
        active, information = np.ptp(code, axis=0) > 0, mutual_information(symbols, factor) / entropy
    else:
        width = np.ptp(code, axis=0)
        active, information = width > width.max() / 20, _by_neighbours(code, factor, seed) / entropy
    return InfoMEC(
        modularity=_mean_largest_share(information[active].T),
        explicitness=float(np.mean(1 - _cross_entropies(code, factor, discrete) / entropy)),
        compactness=_mean_largest_share(information[active]),
        information=information,
        active=active,
    )


def _mean_largest_share(values: Array) -> float:
    """Mean over columns (m, c) of the largest share of their sum, scaled from [1 / m, 1] to [0, 1]."""
    rows, columns = values.shape
    if rows < 2 or not columns:
        return 0.0
    total = values.sum(axis=0)
    share = np.full(columns, 1 / rows)
    np.divide(values.max(axis=0), total, out=share, where=total > 0)
    return float((share.mean() - 1 / rows) / (1 - 1 / rows))


def _by_neighbours(codes: Array, factors: Labels, seed: int) -> Array:
    """I(c_i; v_j) in nats, (d, k), by the estimate of Ross (2014) from nearest neighbours.

    As scikit-learn's `mutual_info_classif`, which searches trees for what is sorted here in one dimension.
    """
    width = np.std(codes, axis=0)
    scaled = codes / np.where(width > 0, width, 1.0)
    noise = np.random.RandomState(seed).standard_normal(codes.shape)
    apart = scaled + 1e-10 * np.maximum(1, np.abs(scaled).mean(axis=0)) * noise
    return np.array([[_ross(code, factor) for factor in factors.T] for code in apart.T])


def _ross(code: Array, factor: Labels) -> float:
    """I(code; factor) of n numbers, all different, and n labels; who has a label alone is left out."""
    from scipy.special import digamma

    factor = np.unique(factor, return_inverse=True)[1]
    order = np.argsort(code, kind="stable")
    order = order[np.bincount(factor)[factor[order]] > 1]
    code, factor = code[order], factor[order]
    radius, members = np.empty(len(code)), np.bincount(factor)[factor]
    for value in np.unique(factor):
        mine = factor == value
        radius[mine] = _reach(code[mine], NEIGHBOURS)
    radius -= ROUNDING  # the k-th neighbour itself does not count
    around = np.searchsorted(code, code + radius, side="right") - np.searchsorted(code, code - radius)
    known = digamma(np.minimum(NEIGHBOURS, members - 1)) - digamma(members) - digamma(around)
    return max(0.0, float(digamma(len(code)) + known.mean()))


def _reach(code: Array, neighbours: int) -> Array:
    """The distance of each of n ascending numbers to its k-th nearest other one, k at most n - 1."""
    k, n = min(neighbours, len(code) - 1), len(code)
    padded = np.concatenate([np.full(k, -np.inf), code, np.full(k, np.inf)])
    # the k nearest are neighbours in order: so many below and the rest above
    ends = [
        np.maximum(code - padded[k - below : k - below + n], padded[2 * k - below : 2 * k - below + n] - code)
        for below in range(k + 1)
    ]
    nearest: Array = np.min(ends, axis=0)
    return nearest


def _cross_entropies(codes: Array, factors: Labels, discrete: bool) -> Array:
    """Of logistic regressions for each factor, without penalty, on the samples they are fitted to, (k,)."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    inputs = (OneHotEncoder() if discrete else StandardScaler()).fit_transform(codes)
    losses = []
    for column in factors.T:
        model = LogisticRegression(C=np.inf, max_iter=1000).fit(inputs, column)
        losses.append(log_loss(column, model.predict_proba(inputs)))
    return np.array(losses)
