"""The default noise schedule, and noise levels of any variance-preserving schedule.

It stands on the ground floor because both sides need the same one: the data sets' exact noise predictors
(bench) and the trained diffusion models (plugins).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from mfbench.contracts import NoiseSchedule

_BETA_FIRST, _BETA_LAST = 1e-4, 0.02
"""Of the chain of 1,000 steps (Ho et al. 2020, section 4)."""
_REFERENCE_STEPS = 1000
_BETA_LIMIT = 0.999
"""Betas scaled by 1000/T reach 1 at T = 20, and a beta of 1 would make abar zero."""
_BISECTIONS = 64


class LinearSchedule:
    """abar(k/T) = prod_{j<=k} (1 - beta_j), beta linear 1e-4 .. 0.02 times 1000/T, log abar linear between.

    Scaling by 1000/T keeps the noise at t = 1 about the same for every T (abar_T = 4.0e-5 at T = 1000, 2.0e-5
    at T = 100). Betas are limited to 0.999, which changes schedules of T <= 20 steps only: their last steps
    then destroy nearly all of the signal at once, and abar_T stays above zero.
    """

    def __init__(self, num_steps: int) -> None:
        """`num_steps`: T, at least 2 (ValueError)."""
        if num_steps < 2:
            raise ValueError(f"num_steps = {num_steps}: a schedule has at least 2 steps")
        self.num_steps = num_steps
        scale = _REFERENCE_STEPS / num_steps
        betas = torch.linspace(_BETA_FIRST * scale, _BETA_LAST * scale, num_steps, dtype=torch.float64)
        self.betas = betas.clamp(max=_BETA_LIMIT)
        """(T,) float64 on the CPU: beta_1, ..., beta_T."""
        steps = torch.log1p(-self.betas).cumsum(0)
        self._log_alpha_bar = torch.cat([steps.new_zeros(1), steps])  # k = 0, ..., T
        self._tables: dict[tuple[torch.device, torch.dtype], Tensor] = {}

    def alpha_bar(self, t: Tensor) -> Tensor:
        """abar at times t (any shape, floating; clamped to [0, 1]), in t's dtype and on its device."""
        return self.log_alpha_bar(t).exp()

    def log_alpha_bar(self, t: Tensor) -> Tensor:
        """log abar(t), piecewise linear in t: keeps the digits that 1 - abar(t) loses near t = 0."""
        table = self._table(t)
        position = (t * self.num_steps).clamp(0, self.num_steps)
        below = position.detach().floor().clamp(max=self.num_steps - 1)
        k = below.long()
        return torch.lerp(table[k], table[k + 1], position - below)

    def _table(self, t: Tensor) -> Tensor:
        key = (t.device, t.dtype)
        if key not in self._tables:
            self._tables[key] = self._log_alpha_bar.to(t.device, t.dtype)
        return self._tables[key]


def sigma_at(schedule: NoiseSchedule, t: Tensor) -> Tensor:
    """sigma(t) = sqrt((1 - abar) / abar), the noise level in the DDIM variable x / sqrt(abar); t's shape."""
    alpha_bar = schedule.alpha_bar(t)
    return ((1 - alpha_bar) / alpha_bar).sqrt()


def time_of_sigma(schedule: NoiseSchedule, sigma: Tensor) -> Tensor:
    """t in [0, 1] with sigma(t) = `sigma`, by bisection of the monotone function; 0 and 1 beyond its range.

    Works for any schedule, to the rounding of `sigma`'s dtype: use float64.
    """
    low, high = torch.zeros_like(sigma), torch.ones_like(sigma)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        noisier = sigma_at(schedule, middle) > sigma
        high = torch.where(noisier, middle, high)
        low = torch.where(noisier, low, middle)
    at_end = sigma >= sigma_at(schedule, torch.ones_like(sigma))
    return torch.where(sigma <= 0, torch.zeros_like(sigma), torch.where(at_end, torch.ones_like(sigma), low))
