"""Linear probes: what a logistic regression fitted to validation codes tells of test codes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def balanced_contributions(codes: Array, labels: Array, unseen: Array, truth: Array) -> Array:
    """(n,) whose mean is the balanced accuracy on `unseen` codes (n, d) of labels `truth` (n,).

    The regression is fitted to codes (m, d) with labels (m,), standardised, classes weighed alike; its mean
    accuracy over the classes starts from 1 / classes, however rare some are. Spread within classes alone.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000, class_weight="balanced"))
    right = (model.fit(codes, labels).predict(unseen) == truth).astype(np.float64)
    _, inverse, counts = np.unique(truth, return_inverse=True, return_counts=True)
    classes = inverse.ravel()
    accuracies = np.bincount(classes, weights=right) / counts
    weights = len(truth) / (len(counts) * counts[classes])
    contributions: Array = accuracies.mean() + weights * (right - accuracies[classes])
    return contributions
