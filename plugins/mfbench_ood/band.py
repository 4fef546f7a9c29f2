"""The terms of Eq. 23 of Tu et al. 2023 in a band of times.

In many dimensions the terms of

    log p(x_0) ~ log p(x_T) + sum_t [log p(x_s | x_t) - log q(x_t | x_s)],    x_{1:T} ~ q(. | x_0)

that tell seen from unseen drown in those that do not. Band by band one sees which do.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor

from mfbench import Ref, UserError
from mfbench_ood.diffusion import DiffusionScore
from mfbench_ood.levels import Level, levels_at
from mfbench_ood.randomness import noise_like, required


class DiffusionBand(DiffusionScore):
    """The sum of the terms with t_low <= s < t <= t_high, in nats, the mean over `rounds` paths.

    `step`: t - s in units of 1/T, from t_low up, the last one shorter. The reverse transitions have the first
    variance, bbar_st. A band that ends at 1 has log p(x_T) too, so the bands of a partition of [0, 1] add up
    to the mean of Eq. 23 in model space. Which band to use is to be settled on a validation OOD set.
    """

    def __init__(
        self,
        generator: Ref = "ddpm_mlp",
        t_low: float = 0.0,
        t_high: float = 0.25,
        step: float = 1.0,
        rounds: int = 10,
        chunk: int = 2048,
    ) -> None:
        super().__init__(generator, chunk)
        if not 0 <= t_low < t_high <= 1:
            raise UserError(f"diffusion_band: t_low = {t_low}, t_high = {t_high}: 0 <= t_low < t_high <= 1")
        if not step > 0 or rounds < 1:
            raise UserError(f"diffusion_band: step = {step}, rounds = {rounds}: above 0, and at least 1")
        self.t_low = t_low
        self.t_high = t_high
        self.step = step
        self.rounds = rounds

    def score_rows(self, x: Tensor, rng: torch.Generator | None) -> Tensor:
        levels = self._levels()
        model = self.generator.to_model(x)
        return torch.stack([self._path(model, levels, required(rng)) for _ in range(self.rounds)]).mean(0)

    def _levels(self) -> list[Level]:
        width = self.step / self.schedule.num_steps
        count = max(1, math.ceil((self.t_high - self.t_low) / width - 1e-9))
        times = [self.t_low + k * width for k in range(count)] + [self.t_high]
        return levels_at(self.schedule, times)

    def _path(self, x: Tensor, levels: list[Level], rng: torch.Generator) -> Tensor:
        """The terms along one path from each row of x, (n,) float64.

        With x_t = sqrt(abar_st) x_s + sqrt(bbar_st) z the reverse residual over its standard deviation is
        r = (sqrt(bbar_st / (1 - abar_t)) eps - z) / sqrt(abar_st), and the term (|z|^2 - |r|^2) / 2.
        """
        x_t = levels[0].signal * x + levels[0].noise * noise_like(x, rng)
        total = torch.zeros(len(x), dtype=torch.float64, device=x.device)
        for early, late in pairwise(levels):
            signal = late.signal / early.signal  # sqrt(abar_st)
            noise = late.signal * math.sqrt(late.sigma**2 - early.sigma**2)  # sqrt(bbar_st)
            z = noise_like(x, rng)
            x_t = signal * x_t + noise * z
            r = (noise / late.noise * self.eps(x_t, late) - z) / signal
            total += ((z - r) * (z + r)).flatten(1).double().sum(1) / 2
        return total + _standard_normal(x_t) if self.t_high == 1 else total


def _standard_normal(x: Tensor) -> Tensor:
    """log N(x; 0, I) in nats, (n,) float64."""
    flat = x.flatten(1).double()
    return -flat.square().sum(1) / 2 - flat.shape[1] / 2 * math.log(2 * math.pi)
