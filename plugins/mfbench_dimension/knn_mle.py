"""Dimension by maximum likelihood from distances to neighbours (Levina and Bickel 2004).

With T_j the distance to the j-th nearest training point, and a density that is about constant among the k
nearest ones, the sum of log(T_k / T_j) over j < k has the law of Gamma(k - 1) of rate d. So (k - 2) over that
sum is unbiased for d, with standard error d / sqrt(k - 3).

Estimates at neighbouring points are pooled by averaging the inverse dimensions, not the dimensions (MacKay
and Ghahramani 2005): that is the maximum likelihood of all of them together.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from mfbench import Dataset, EstimatesDimension, Likelihood, Progress, UserError
from mfbench_dimension.neighbours import Array, Neighbours, as_rows, like


class NeighbourLikelihood(Likelihood, EstimatesDimension):
    """Levina and Bickel's estimate from `k` neighbours, pooled over a point's `pooled` nearest of them.

    `pooled` = 0 is the estimate at the point alone; at most `k`. The score is minus that one: far from the
    training set its points are all about as far away, which looks like many dimensions (Ma et al. 2018).
    """

    bound: ClassVar[Literal["exact", "lower", "score"]] = "score"

    def __init__(self, k: int = 20, pooled: int = 20) -> None:
        if k < 3:
            raise UserError(f"knn_mle: k = {k}: at least 3")
        if not 0 <= pooled <= k:
            raise UserError(f"knn_mle: pooled = {pooled}: from 0 to k = {k}")
        self.k = k
        self.pooled = pooled

    def fit(self, data: Dataset, *, rng: torch.Generator, progress: Progress) -> None:
        self.neighbours = Neighbours(data.train.x, self.k, "knn_mle")
        self.sums = self.log_ratios(self.neighbours.points)[0] if self.pooled else None

    def intrinsic_dimension(self, x: Tensor, *, rng: torch.Generator | None = None) -> Tensor:
        """(k - 2) / sum_j log(T_k / T_j), or over all pooled points; 0 where neighbours coincide with x."""
        sums, nearest = self.log_ratios(as_rows(x))
        if self.sums is not None:
            sums = sums + self.sums[nearest[:, : self.pooled]].sum(axis=1)
        terms = (1 + self.pooled) * (self.k - 1)
        return like((terms - 1) / sums, x)

    def score(self, x: Tensor, *, rng: torch.Generator | None = None) -> Tensor:
        sums, _ = self.log_ratios(as_rows(x))
        return like(-(self.k - 2) / sums, x)

    def log_ratios(self, x: Array) -> tuple[Array, np.ndarray]:
        """sum_j log(T_k / T_j), (n,), at points x (n, d), and their k nearest training points, (n, k)."""
        sums, nearest = [], []
        for differences, found in self.neighbours.around(x):
            distances = np.linalg.norm(differences, axis=2)
            with np.errstate(divide="ignore", invalid="ignore"):
                logs = np.log(distances[:, -1:] / distances[:, :-1])
            sums.append(np.where(np.isnan(logs), np.inf, logs).sum(axis=1))
            nearest.append(found)
        return np.concatenate(sums), np.concatenate(nearest)
