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
_MOST_ITERATIONS = 100


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
    """t in [0, 1] with sigma(t) = `sigma`; 0 and 1 beyond its range.

    Inverts -log abar(t), between two steps k/T of the schedule, by regula falsi (Illinois variant): for a
    schedule that is linear there one iteration finds the root, for any other a few. Works to the rounding of
    `sigma`'s dtype: use float64.
    """
    steps = torch.linspace(0, 1, schedule.num_steps + 1, dtype=sigma.dtype, device=sigma.device)
    levels = _minus_log_alpha_bar(schedule, steps)
    goal = sigma.clamp(min=0).square().log1p().clamp(max=levels[-1])
    above = torch.searchsorted(levels, goal).clamp(1, schedule.num_steps)
    low, high = steps[above - 1], steps[above]
    error_low, error_high = levels[above - 1] - goal, levels[above] - goal
    t = low
    for _ in range(_MOST_ITERATIONS):
        rise = error_high - error_low
        t = torch.where(rise != 0, high - error_high * (high - low) / rise, high)
        error = _minus_log_alpha_bar(schedule, t) - goal
        if bool((error.abs() <= 4 * torch.finfo(sigma.dtype).eps * goal.clamp(min=1)).all()):
            break
        crossed = error * error_high < 0
        low, error_low = torch.where(crossed, high, low), torch.where(crossed, error_high, error_low / 2)
        high, error_high = t, error
    at_end = sigma >= sigma_at(schedule, torch.ones_like(sigma))
    return torch.where(sigma <= 0, torch.zeros_like(sigma), torch.where(at_end, torch.ones_like(sigma), t))


def _minus_log_alpha_bar(schedule: NoiseSchedule, t: Tensor) -> Tensor:
    return sigma_at(schedule, t).square().log1p()  # abar = 1 / (1 + sigma^2)
