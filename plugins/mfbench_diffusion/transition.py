"""The forward transition p(x_t | x_s), s < t, and the mean and variances of its reverse (Eq. 9-15)."""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

from torch import Tensor

from mfbench_diffusion.grids import Level

Variance: TypeAlias = Literal["beta", "beta_tilde"]
"""sigma_st^2 of the reverse transition: bbar_st, or (1 - abar_s) / (1 - abar_t) bbar_st."""


class Transition:
    """Between two noise levels: x_t = sqrt(abar_st) x_s + sqrt(bbar_st) eps.

    abar_st = abar_t / abar_s and bbar_st = 1 - abar_st, computed from the sigmas without cancellation.
    """

    def __init__(self, early: Level, late: Level) -> None:
        self.alpha_bar = (1 + early.sigma**2) / (1 + late.sigma**2)  # abar_st
        self.beta_bar = (late.sigma**2 - early.sigma**2) / (1 + late.sigma**2)  # bbar_st
        noise = late.sigma**2 / (1 + late.sigma**2)  # 1 - abar_t
        self.noise_ratio = early.alpha_bar * early.sigma**2 / noise  # (1 - abar_s) / (1 - abar_t)
        self.beta_share = self.beta_bar / noise  # bbar_st / (1 - abar_t)
        self.eps_factor = self.beta_bar / math.sqrt(noise)

    def mean(self, x_late: Tensor, eps: Tensor) -> Tensor:
        """mu(x_s | x_t) = (x_t - bbar_st / sqrt(1 - abar_t) eps) / sqrt(abar_st)."""
        return (x_late - self.eps_factor * eps) / math.sqrt(self.alpha_bar)

    def variance(self, which: Variance) -> float:
        """sigma_st^2; the second variance is 0 at s = 0."""
        return self.beta_bar if which == "beta" else self.noise_ratio * self.beta_bar
