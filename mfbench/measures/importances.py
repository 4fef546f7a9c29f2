"""Disentanglement in terms of which codes a predictor of the factors uses."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from mfbench.measures.convert import Array, Generator, Values
from mfbench.measures.factors import codes_and_factors, held_out


@dataclass(frozen=True)
class DCI:
    """Disentanglement, completeness and informativeness in [0, 1], higher = better.

    informativeness: mean held-out accuracy over factors (1 less the prediction error of the paper).
    importance (d, k): of code i in predicting factor j; a column sums to 1, or is 0 where nothing predicts.
    """

    disentanglement: float
    completeness: float
    informativeness: float
    importance: Array = field(repr=False, compare=False)


def dci(codes: Values, factors: Values, *, rng: Generator | None = None) -> DCI:
    """DCI (Eastwood and Williams 2018) with gradient boosted trees, as in Locatello et al. 2019.

    codes (n, d), d >= 2, real; factors (n, k), k >= 2, integers. A classifier for each factor learns from all
    codes; how much of its loss a code removes is the code's importance. Disentanglement: does a code matter
    to one factor only? Completeness: does a factor rest on one code only? See `entropy_scores`. A third of
    the samples is held out for the accuracy; `rng` shuffles them, without it always in the same way.

    100 trees for each value of each factor (for a binary one in all): the slowest of these measures.
    """
    code, factor = codes_and_factors(codes, factors, codes_at_least=2, factors_at_least=2)
    learn, test = held_out(len(code), factor, rng)
    importance = np.empty((code.shape[1], factor.shape[1]))
    accuracies = np.empty(factor.shape[1])
    for j, column in enumerate(factor.T):
        importance[:, j], said = _boosted(code[learn], column[learn], code[test])
        accuracies[j] = np.mean(said == column[test])
    return DCI(*entropy_scores(importance), float(accuracies.mean()), importance)


def entropy_scores(importance: Array) -> tuple[float, float]:
    """Disentanglement and completeness of importances (d, k) >= 0, d, k >= 2.

    Of code i: 1 - H(its importances as a distribution over factors) / log k, averaged over codes by their
    share of all importance; of factor j: 1 - H(over codes) / log d, averaged likewise. Both 0 where all is 0.
    """
    return _concentration(importance.T), _concentration(importance)


def _concentration(weights: Array) -> float:
    """1 - entropy over log(rows) of the columns as distributions, averaged by the columns' sums."""
    from scipy.stats import entropy

    share = weights.sum(axis=0)
    used = share > 0
    if not used.any():
        return 0.0
    concentration = 1 - entropy(weights[:, used], base=len(weights), axis=0)
    return float(np.clip(np.average(concentration, weights=share[used]), 0.0, 1.0))


def _boosted(codes: Array, labels: np.ndarray, unseen: Array) -> tuple[Array, np.ndarray]:
    """Importances (d,) of the codes for the labels, and the labels predicted for unseen codes."""
    from sklearn.ensemble import GradientBoostingClassifier

    # The state decides between codes that split equally well: duplicated codes share the importance.
    trees = GradientBoostingClassifier(random_state=0).fit(codes, labels)
    return np.asarray(trees.feature_importances_), np.asarray(trees.predict(unseen))
