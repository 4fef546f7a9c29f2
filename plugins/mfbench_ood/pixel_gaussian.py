"""The control: one Gaussian on pixels, whose covariance is shrunk towards a sphere (Ledoit and Wolf 2004)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from mfbench import Dataset, DataSpec, Likelihood, Progress, Role, UserError

ROWS = 4096
"""Images held in float64 at once."""


class PixelGaussian(Likelihood):
    """Exact density of N(mean, (1 - a) S + a mean(diag S) I), S the training data's covariance.

    `covariance`: "full", or "diagonal" for its diagonal alone. `shrinkage`: a in (0, 1], which also keeps
    pixels that never change from having no variance.
    """

    role: ClassVar[Role] = "control"

    def __init__(self, covariance: Literal["full", "diagonal"] = "full", shrinkage: float = 0.01) -> None:
        if not 0 < shrinkage <= 1:
            raise UserError(f"pixel_gaussian: shrinkage = {shrinkage}: a share in (0, 1]")
        self.covariance: Literal["full", "diagonal"] = covariance
        self.shrinkage = shrinkage

    def build(self, spec: DataSpec) -> None:
        dim = math.prod(spec.shape)
        self.mean = torch.zeros(dim, device=spec.device, dtype=torch.float64)
        shape = (dim, dim) if self.covariance == "full" else (dim,)
        self.factor = torch.zeros(shape, device=spec.device, dtype=torch.float64)

    def fit(self, data: Dataset, *, rng: torch.Generator, progress: Progress) -> None:
        train = data.train
        sums = [part.flatten(1).double().sum(0) for part in train.batches(ROWS)]
        self.mean = torch.stack(sums).sum(0) / len(train)
        covariance = torch.zeros_like(self.factor)
        for part in train.batches(ROWS):
            covariance += self._scatter(part.flatten(1).double() - self.mean) / max(1, len(train) - 1)
        variances = covariance if self.covariance == "diagonal" else covariance.diagonal()
        target = self.shrinkage * float(variances.mean())
        if not target > 0:
            raise UserError("pixel_gaussian: all training images are the same; there is no variance to model")
        self.factor = self._factor(covariance, target)

    def _scatter(self, centred: Tensor) -> Tensor:
        return centred.square().sum(0) if self.covariance == "diagonal" else centred.T @ centred

    def _factor(self, covariance: Tensor, target: float) -> Tensor:
        """Standard deviations, or the lower Cholesky factor, of the shrunk covariance."""
        shrunk = (1 - self.shrinkage) * covariance
        if self.covariance == "diagonal":
            return (shrunk + target).sqrt()
        shrunk.diagonal().add_(target)
        return torch.linalg.cholesky(shrunk)

    def log_prob(self, x: Tensor, *, rng: torch.Generator | None = None) -> Tensor:
        centred = x.flatten(1).double() - self.mean
        if self.covariance == "diagonal":
            white, scales = centred / self.factor, self.factor
        else:
            white = torch.linalg.solve_triangular(self.factor, centred.T, upper=False).T
            scales = self.factor.diagonal()
        constant = scales.log().sum() + len(scales) / 2 * math.log(2 * math.pi)
        return (-white.square().sum(1) / 2 - constant).to(x.dtype)

    def state_dict(self) -> Mapping[str, Tensor]:
        return {"mean": self.mean, "factor": self.factor}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.mean, self.factor = state["mean"], state["factor"]
