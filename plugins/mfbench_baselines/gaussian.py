"""One Gaussian with the training data's mean and covariance: how far second moments alone go."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from mfbench import Dataset, DataSpec, Likelihood, Progress

RIDGE = 1e-6
"""Added to the covariance's diagonal, in units of the mean variance, for constant coordinates."""


class Gaussian(Likelihood):
    """Exact density of N(mean, covariance), both the training data's."""

    def build(self, spec: DataSpec) -> None:
        dim = math.prod(spec.shape)
        self.mean = torch.zeros(dim, device=spec.device, dtype=spec.dtype)
        self.scale_tril = torch.eye(dim, device=spec.device, dtype=spec.dtype)

    def fit(self, data: Dataset, *, rng: torch.Generator, progress: Progress) -> None:
        x = data.train.x.flatten(1).double()
        covariance = torch.atleast_2d(torch.cov(x.T))
        covariance.diagonal().add_(RIDGE * float(covariance.diagonal().mean()))
        self.mean = x.mean(dim=0).to(data.train.x)
        self.scale_tril = torch.linalg.cholesky(covariance).to(data.train.x)

    def log_prob(self, x: Tensor, *, rng: torch.Generator | None = None) -> Tensor:
        return MultivariateNormal(self.mean, scale_tril=self.scale_tril).log_prob(x.flatten(1))

    def state_dict(self) -> Mapping[str, Tensor]:
        return {"mean": self.mean, "scale_tril": self.scale_tril}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.mean, self.scale_tril = state["mean"], state["scale_tril"]
