"""The classifier two-sample test."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mfbench.measures.convert import Array, Generator, Values, as_samples, numpy_generator, same_dimension


@dataclass(frozen=True)
class ClassifierTest:
    """Held-out accuracy (0.5: the sets cannot be told apart), its p-value, and the held-out examples `n`."""

    accuracy: float
    p_value: float
    n: int


def c2st(samples: Values, reference: Values, *, rng: Generator) -> ClassifierTest:
    """Classifier two-sample test (Lopez-Paz and Oquab 2017): can a classifier tell samples from reference?

    Gradient-boosted trees learn one half of both sets, cut to equal size, and are tested on the other half.
    p is the permutation p of the held-out accuracy, exactly: given the predictions, under the null every
    assignment of the held-out labels is equally likely, so the number of hits is hypergeometric.
    """
    from scipy.stats import hypergeom
    from sklearn.ensemble import HistGradientBoostingClassifier

    x, y = as_samples(samples, "samples", 4), as_samples(reference, "reference", 4)
    same_dimension(x, y)
    rng = numpy_generator(rng)
    learn, labels, held_out, truth = _halves(x, y, rng)
    classifier = HistGradientBoostingClassifier(early_stopping=False, random_state=int(rng.integers(2**31)))
    said = classifier.fit(learn, labels).predict(held_out)
    hits = int(np.sum(said & truth))
    p_value = hypergeom.sf(hits - 1, len(truth), int(truth.sum()), int(said.sum()))
    return ClassifierTest(float(np.mean(said == truth)), float(p_value), len(truth))


def _halves(x: Array, y: Array, rng: np.random.Generator) -> tuple[Array, np.ndarray, Array, np.ndarray]:
    """Equal numbers of both sets (label True: x), shuffled, to learn from and to be tested on."""
    half = min(len(x), len(y)) // 2
    x, y = x[rng.permutation(len(x))], y[rng.permutation(len(y))]
    labels = np.arange(2 * half) < half
    learn = np.concatenate([x[:half], y[:half]])
    return learn, labels, np.concatenate([x[half : 2 * half], y[half : 2 * half]]), labels
