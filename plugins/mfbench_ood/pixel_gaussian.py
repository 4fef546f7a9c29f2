"""The control: one Gaussian on pixels, whose covariance is shrunk towards a sphere (Ledoit and Wolf 2004)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from mfbench import Dataset, DataSpec, Likelihood, Progress, Role, UserError


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
        x = data.train.x.flatten(1).double()
        self.mean = x.mean(0)
        variances = x.var(0)
        target = self.shrinkage * float(variances.mean())
        if target == 0:
            raise UserError("pixel_gaussian: all training images are the same; there is no variance to model")
        if self.covariance == "diagonal":
            self.factor = ((1 - self.shrinkage) * variances + target).sqrt()
            return
        covariance = (1 - self.shrinkage) * torch.atleast_2d(torch.cov(x.T))
        covariance.diagonal().add_(target)
        self.factor = torch.linalg.cholesky(covariance)

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
