"""Disentanglement in terms of how well linear predictors tell the factors from one code, or from all."""

from __future__ import annotations

import numpy as np

from mfbench.measures.convert import Array, Generator, Values
from mfbench.measures.factors import Labels, codes_and_factors, first_two_apart, held_out
from mfbench.measures.ranking import auroc


def separated_attribute_predictability(
    codes: Values, factors: Values, *, rng: Generator | None = None
) -> float:
    """SAP in [0, 1) (Kumar et al. 2018, section 3): how much better than the next best does one code predict?

    codes (n, d), d >= 2, real; factors (n, k), integers. The mean over factors of the gap between the
    held-out accuracies of the two codes that predict it best, each alone, by a linear support vector machine
    (C = 0.01, classes balanced), as in Locatello et al. 2019, who learn from 10,000 samples and hold out
    5,000. Here a third of the samples is held out; `rng` shuffles them, without it always in the same way.

    A perfect code has 1 less the accuracy of guessing: 0.5 for a fair binary factor. Values in the middle of
    an ordered factor are not cut out by one line, so it has less. The machine is regularised and codes are
    taken as they are: where samples are few, their scale counts.
    """
    code, factor = codes_and_factors(codes, factors, codes_at_least=2)
    learn, test = held_out(len(code), factor, rng)
    accuracies = np.empty((code.shape[1], factor.shape[1]))
    for i in range(code.shape[1]):
        for j in range(factor.shape[1]):
            accuracies[i, j] = _accuracy(code[:, i : i + 1], factor[:, j], learn, test)
    return float(np.mean(first_two_apart(accuracies)))


def explicitness(codes: Values, factors: Values, *, rng: Generator | None = None) -> float:
    """Explicitness in [0, 1], 0.5 by chance (Ridgeway and Mozer 2018): are factors linear in the codes?

    codes (n, d), real; factors (n, k), integers. The area under the ROC curve of a logistic regression on all
    codes, standardised, for each value of a factor against the others; mean over values, then over factors,
    as in Locatello et al. 2019. On a held-out third; `rng` shuffles the samples, without it always in the
    same way. A rotated code is as explicit as a disentangled one.
    """
    code, factor = codes_and_factors(codes, factors)
    learn, test = held_out(len(code), factor, rng)
    spread = np.std(code[learn], axis=0)
    scaled = (code - code[learn].mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    areas = [_area(scaled, column, learn, test, j) for j, column in enumerate(factor.T)]
    return float(np.mean(areas))


def _area(codes: Array, factor: Labels, learn: np.ndarray, test: np.ndarray, number: int) -> float:
    """Mean over values of the area under the curve, of those that occur in both parts."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(max_iter=1000).fit(codes[learn], factor[learn])
    probability = model.predict_proba(codes[test])
    said = [(probability[:, i], factor[test] == value) for i, value in enumerate(model.classes_)]
    areas = [
        auroc(scores[truth], scores[~truth]) for scores, truth in said if truth.any() and not truth.all()
    ]
    if not areas:
        raise ValueError(f"factor {number} has one value among the {len(test)} held-out samples: give more")
    return float(np.mean(areas))


def _accuracy(code: Array, factor: Labels, learn: np.ndarray, test: np.ndarray) -> float:
    from sklearn.svm import LinearSVC

    machine = LinearSVC(C=0.01, class_weight="balanced", random_state=0)
    said = machine.fit(code[learn], factor[learn]).predict(code[test])
    return float(np.mean(said == factor[test]))
