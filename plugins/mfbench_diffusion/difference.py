"""RK4 with the h = 1 update of a discrete chain as its right-hand side (Tu et al. 2023, Fig. 7 and 8).

    k1 = F(x_t, t), k2 = F(x_t - h/2 k1, t - h/2), k3 = F(x_t - h/2 k2, t - h/2), k4 = F(x_t - h k3, t - h),
    x_{t-h} = x_t - h/6 (k1 + 2 k2 + 2 k3 + k4)

with F(x, t) = x - (one step of the chain from t to t - 1). A difference over one step is not a derivative, so
the bias that comes with it does not vanish with h. Below t = 1, where the chain has no step left, its first
step (from t = 1 to t = 0) stands in.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from mfbench import NoisePredictor, NoiseSchedule, Sampler
from mfbench_diffusion.grids import Level, evaluate, levels_at, t_grid
from mfbench_diffusion.randomness import noise_like, required
from mfbench_diffusion.transition import Transition

Update: TypeAlias = Callable[[Tensor, Tensor, Level, Level], Tensor]
"""x one step of the chain later, from x, eps, the level there and the level one step (1/T) earlier in t."""


def _ddim(x: Tensor, eps: Tensor, here: Level, there: Level) -> Tensor:
    """sqrt(abar_s) (x_t / sqrt(abar_t) + (sigma_s - sigma_t) eps)."""
    return there.scale * (x / here.scale + (there.sigma - here.sigma) * eps)


def _ddpm_mean(x: Tensor, eps: Tensor, here: Level, there: Level) -> Tensor:
    return Transition(there, here).mean(x, eps)


def _pairs(schedule: NoiseSchedule, times: Tensor) -> list[tuple[Level, Level]]:
    """(t, t - 1/T) for each of `times`, none below (1/T, 0)."""
    unit = 1 / schedule.num_steps
    late = times.clamp(min=unit)
    return list(zip(levels_at(schedule, late), levels_at(schedule, (late - unit).clamp(min=0))))


class _Stages:
    """The right-hand side F at the three times of every step, prepared for the whole grid."""

    def __init__(self, predictor: NoisePredictor, update: Update, levels: list[Level]) -> None:
        self.predictor, self.update = predictor, update
        times = torch.tensor([level.t for level in levels], dtype=torch.float64)
        self.whole = _pairs(predictor.schedule, times)
        self.half = _pairs(predictor.schedule, (times[:-1] + times[1:]) / 2)
        lengths = (times[:-1] - times[1:]) * predictor.schedule.num_steps
        self.lengths: list[float] = lengths.tolist()  # h, in units of 1/T

    def difference(self, x: Tensor, pair: tuple[Level, Level]) -> Tensor:
        """F(x, t) = x - (x one step of the chain later)."""
        difference: Tensor = x - self.update(x, evaluate(self.predictor, x, pair[0].t), *pair)
        return difference

    def advance(self, x: Tensor, i: int) -> Tensor:
        """x at the end of step i of the grid."""
        h = self.lengths[i]
        k1 = self.difference(x, self.whole[i])
        k2 = self.difference(x - h / 2 * k1, self.half[i])
        k3 = self.difference(x - h / 2 * k2, self.half[i])
        k4 = self.difference(x - h * k3, self.whole[i + 1])
        return x - h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


class RungeKutta4Difference(Sampler):
    """RK4 on the one-step differences of DDIM: biased by about 1/T at every h, h = 1 included."""

    evaluations_per_step = 4

    @torch.no_grad()
    def sample(
        self, predictor: NoisePredictor, x_start: Tensor, *, step: float, rng: torch.Generator | None = None
    ) -> Tensor:
        x = x_start
        levels = t_grid(predictor.schedule, step)
        stages = _Stages(predictor, _ddim, levels)
        for i in range(len(levels) - 1):
            x = stages.advance(x, i)
        return x


class RungeKutta4DDPM(Sampler):
    """RK4 on the one-step differences of DDPM's mean, then the noise of the whole step.

    `noise`: the variance of that noise, as in `ddpm` (the last step has none), or "none": then what remains
    drifts along the mean of the reverse process, which is not the data distribution.
    """

    deterministic = False
    evaluations_per_step = 4

    def __init__(self, noise: Literal["beta", "beta_tilde", "none"] = "beta") -> None:
        self.noise: Literal["beta", "beta_tilde", "none"] = noise

    @torch.no_grad()
    def sample(
        self, predictor: NoisePredictor, x_start: Tensor, *, step: float, rng: torch.Generator | None = None
    ) -> Tensor:
        x = x_start
        levels = t_grid(predictor.schedule, step)
        stages = _Stages(predictor, _ddpm_mean, levels)
        for i, (late, early) in enumerate(pairwise(levels)):
            x = stages.advance(x, i)
            if self.noise != "none" and early.t > 0:
                variance = Transition(early, late).variance(self.noise)
                x += variance**0.5 * noise_like(x, required(rng))
        return x
