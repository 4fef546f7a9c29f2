"""FLIPD, a local intrinsic dimension (Kamkari, Ross, Hosseinzadeh, Cresswell and Loaiza-Ganem, NeurIPS 2024).

Noise of variance s^2 lowers the log-density at a point of a d-dimensional manifold in D dimensions by
(D - d) log s as s falls. The slope is known from the Fokker-Planck equation, without a change of s:

    LID(x) = D + (1 - abar) [tr grad s(x_t) + |s(x_t)|^2],    x_t = sqrt(abar) x,  s = -eps / sqrt(1 - abar)
           = D - sqrt(1 - abar) div eps(x_t, t0) + |eps(x_t, t0)|^2.
"""

from __future__ import annotations

from functools import partial
from typing import Literal

import torch
from torch import Tensor

from mfbench import EstimatesDimension, Ref, UserError
from mfbench_ood.diffusion import DiffusionScore
from mfbench_ood.divergence import exact_divergence, hutchinson_divergence
from mfbench_ood.levels import levels_at
from mfbench_ood.randomness import required

EXACT_UP_TO = 64
"""Dimensions up to which `divergence = "auto"` is exact: one vector-Jacobian product a dimension."""


class FLIPD(DiffusionScore, EstimatesDimension):
    """The estimated dimension as a score, and as an answer (`intrinsic_dimension`).

    `t0`: the time at which it looks; small, but with noise that the network has learned to see.
    `inliers`: "low" takes a low estimate for seen. Off the data's support the density only rises as noise is
    added, and the estimate exceeds D. "high" is for unseen data that lie on the support but are simpler than
    the seen (Kamkari et al. 2024, on the likelihood paradox): their dimension is lower. Which of the two a
    pair of data sets is, is to be settled on a validation OOD set.
    `divergence`: "exact", "hutchinson" (`probes` random signs), or "auto": exact up to 64 dimensions.
    """

    def __init__(
        self,
        generator: Ref = "ddpm_mlp",
        t0: float = 0.05,
        inliers: Literal["low", "high"] = "low",
        divergence: Literal["auto", "exact", "hutchinson"] = "auto",
        probes: int = 8,
        chunk: int = 512,
    ) -> None:
        super().__init__(generator, chunk)
        if not 0 < t0 <= 1:
            raise UserError(f"flipd: t0 = {t0}: a time in (0, 1]")
        if probes < 1:
            raise UserError(f"flipd: probes = {probes}: at least 1")
        self.t0 = t0
        self.inliers: Literal["low", "high"] = inliers
        self.divergence: Literal["auto", "exact", "hutchinson"] = divergence
        self.probes = probes

    def intrinsic_dimension(self, x: Tensor, *, rng: torch.Generator | None = None) -> Tensor:
        """(n,) estimates; not rounded, and not held between 0 and D."""
        return torch.cat([self._dimension(part, rng) for part in torch.split(x, self.chunk)]).to(x.dtype)

    def score_rows(self, x: Tensor, rng: torch.Generator | None) -> Tensor:
        dimension = self._dimension(x, rng)
        return -dimension if self.inliers == "low" else dimension

    def _dimension(self, x: Tensor, rng: torch.Generator | None) -> Tensor:
        (level,) = levels_at(self.schedule, [self.t0])
        x_t = level.signal * self.generator.to_model(x)
        field = partial(self.eps, level=level)
        dim = x[0].numel()
        exact = self.divergence == "exact" or (self.divergence == "auto" and dim <= EXACT_UP_TO)
        if exact:
            eps, trace = exact_divergence(field, x_t)
        else:
            eps, trace = hutchinson_divergence(field, x_t, self.probes, required(rng))
        return dim - level.noise * trace + eps.flatten(1).double().square().sum(1)
