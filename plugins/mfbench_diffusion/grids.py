"""Where a sampler's steps begin and end: times, and the noise levels there.

Everything here is float64 on the CPU and done once per call of a sampler; the loops over steps then multiply
by Python numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from mfbench import NoisePredictor, NoiseSchedule, UserError
from mfbench.schedules import sigma_at, time_of_sigma

Grid: TypeAlias = Literal["t", "asinh"]

ASINH_SCALE = 0.1
"""Below this sigma the "asinh" grid is uniform in sigma, above it in log sigma."""

LEAST_STEP = 1e-6
"""The shortest step h that is taken, in units of 1/T: with shorter ones a grid outgrows any memory."""

_ROUNDING = 1e-9
"""T / h is a whole number when it is one to this relative accuracy: h = 1/3 gives 300 steps of T = 100."""


@dataclass(frozen=True, slots=True)
class Level:
    """A time t in [0, 1] with sigma(t) = sqrt((1 - abar) / abar)."""

    t: float
    sigma: float

    @property
    def alpha_bar(self) -> float:
        """abar = 1 / (1 + sigma^2)."""
        return 1 / (1 + self.sigma**2)

    @property
    def scale(self) -> float:
        """sqrt(abar): x_t = scale * (x / sqrt(abar))."""
        return 1 / math.sqrt(1 + self.sigma**2)


def step_count(num_steps: int, step: float) -> int:
    """ceil(T / h) for h = `step` >= 1e-6 (UserError)."""
    if not step >= LEAST_STEP:
        raise UserError(f"step = {step}: the step h must be at least {LEAST_STEP:g}, in units of 1/T")
    return max(1, math.ceil(num_steps / step * (1 - _ROUNDING)))


def levels_at(schedule: NoiseSchedule, times: Tensor) -> list[Level]:
    """The noise levels at `times` (float64)."""
    return [Level(*pair) for pair in zip(times.tolist(), sigma_at(schedule, times).tolist())]


def levels_of(schedule: NoiseSchedule, sigmas: Tensor) -> list[Level]:
    """The levels whose noise is `sigmas` (float64)."""
    return [Level(*pair) for pair in zip(time_of_sigma(schedule, sigmas).tolist(), sigmas.tolist())]


def t_grid(schedule: NoiseSchedule, step: float) -> list[Level]:
    """1, 1 - h/T, 1 - 2h/T, ..., 0: ceil(T / h) steps, the last one shorter where h does not divide T."""
    count = step_count(schedule.num_steps, step)
    times = 1 - torch.arange(count + 1, dtype=torch.float64) * (step / schedule.num_steps)
    times[-1] = 0
    return levels_at(schedule, times)


def asinh_grid(schedule: NoiseSchedule, count: int) -> list[Level]:
    """`count` steps from t = 1 to t = 0, uniform in u = asinh(sigma / 0.1)."""
    top = sigma_at(schedule, torch.ones(1, dtype=torch.float64)).item()
    fractions = torch.arange(count, -1, -1, dtype=torch.float64) / count
    sigmas = ASINH_SCALE * torch.sinh(fractions * math.asinh(top / ASINH_SCALE))
    sigmas[0] = top  # but for rounding it is
    return levels_of(schedule, sigmas)


def make_grid(schedule: NoiseSchedule, grid: Grid, step: float) -> list[Level]:
    """The levels between ceil(T / h) steps, on either grid."""
    if grid == "t":
        return t_grid(schedule, step)
    return asinh_grid(schedule, step_count(schedule.num_steps, step))


def evaluate(predictor: NoisePredictor, x: Tensor, t: float) -> Tensor:
    """eps(x, t) with one time for all of x. The times are one number expanded: a predictor may see that
    (stride 0) and embed it once.
    """
    return predictor(x, torch.full((), t, dtype=x.dtype, device=x.device).expand(len(x)))
