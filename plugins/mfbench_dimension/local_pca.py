"""Dimension by principal components of a neighbourhood (Fukunaga and Olsen 1971).

A piece of a manifold of dimension d and curvature 1 / R, r wide, lies in its tangent space up to r^2 / R: of
the eigenvalues of its covariance d are of the order of r^2, and the others of r^4 / R^2. The dimension is the
number of those that are large.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from mfbench import Dataset, EstimatesDimension, Likelihood, Progress, Unsupported, UserError
from mfbench_dimension.neighbours import Array, Neighbours, as_rows, like

Rule = Literal["largest", "explained"]

THRESHOLDS: dict[str, float] = {"largest": 0.05, "explained": 0.95}


class LocalPCA(Likelihood, EstimatesDimension):
    """Large eigenvalues of the covariance of the `k` nearest training points.

    `rule`: "largest", those above `threshold` (0.05) times the largest one, as Fukunaga and Olsen do; or
    "explained", as many as it takes for `threshold` (0.95) of the variance, which finds too few even on flat
    pieces once 1 / d is about 1 - `threshold`. No more than k - 1 are found. The estimate is of the training
    data around x, be x near or far: it ranks nothing, and there is no score.
    """

    bound: ClassVar[Literal["exact", "lower", "score"]] = "score"

    def __init__(self, k: int = 50, rule: Rule = "largest", threshold: float | None = None) -> None:
        if k < 2:
            raise UserError(f"local_pca: k = {k}: at least 2")
        self.threshold = THRESHOLDS[rule] if threshold is None else threshold
        if not 0 < self.threshold < 1:
            raise UserError(f"local_pca: threshold = {threshold}: between 0 and 1")
        self.k = k
        self.rule = rule

    def fit(self, data: Dataset, *, rng: torch.Generator, progress: Progress) -> None:
        self.neighbours = Neighbours(data.train.x, self.k, "local_pca")

    def intrinsic_dimension(self, x: Tensor, *, rng: torch.Generator | None = None) -> Tensor:
        """A whole number; 0 where all neighbours coincide."""
        around = self.neighbours.around(as_rows(x))
        found = [self.count(spectrum(differences)) for differences, _ in around]
        return like(np.concatenate(found).astype(np.float64), x)

    def count(self, eigenvalues: Array) -> Array:
        """How many of each row (n, m), in descending order, are large."""
        if self.rule == "largest":
            return np.count_nonzero(eigenvalues > self.threshold * eigenvalues[:, :1], axis=1)
        total = eigenvalues.sum(axis=1, keepdims=True)
        short = np.cumsum(eigenvalues, axis=1) < self.threshold * total
        return (np.count_nonzero(short, axis=1) + 1) * (total[:, 0] > 0)

    def score(self, x: Tensor, *, rng: torch.Generator | None = None) -> Tensor:
        raise Unsupported("local_pca estimates the training data's dimension near x and ranks nothing")


def spectrum(neighbours: Array) -> Array:
    """Eigenvalues, in descending order, of the scatter of each set of neighbours (n, k, d): (n, min(k, d)).

    From the Gram matrix of the smaller side; those below the rounding of the largest are 0.
    """
    centred = neighbours - neighbours.mean(axis=1, keepdims=True)
    _, k, d = centred.shape
    turned = centred.swapaxes(1, 2)
    gram = centred @ turned if k < d else turned @ centred
    eigenvalues: Array = np.linalg.eigvalsh(gram)[:, ::-1]
    rounding = eigenvalues[:, :1] * max(k, d) * np.finfo(np.float64).eps
    return np.where(eigenvalues > rounding, eigenvalues, 0.0)
