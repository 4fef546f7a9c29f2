"""The classical Runge-Kutta method, inverse in time, on the probability-flow ODE (Tu et al. 2023)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mfbench import NoiseSchedule
from mfbench_diffusion.flow import Flow, FlowSampler
from mfbench_diffusion.grids import Level, levels_of


class RungeKutta4(FlowSampler):
    """RK4 in sigma for y = x / sqrt(abar), down to sigma = 0: fourth order.

    The half-step lies half-way in sigma, the variable of integration, at the real time t where the schedule
    has that sigma.
    """

    evaluations_per_step = 4

    def stages(self, schedule: NoiseSchedule, levels: Sequence[Level]) -> list[tuple[Level, ...]]:
        sigmas = torch.tensor([level.sigma for level in levels], dtype=torch.float64)
        middles = levels_of(schedule, (sigmas[:-1] + sigmas[1:]) / 2)
        return list(zip(levels, middles, levels[1:]))

    def advance(self, flow: Flow, y: Tensor, stages: tuple[Level, ...]) -> Tensor:
        here, middle, there = stages
        ds = there.sigma - here.sigma
        k1 = flow(y, here)
        k2 = flow(y + ds / 2 * k1, middle)
        k3 = flow(y + ds / 2 * k2, middle)
        k4 = flow(y + ds * k3, there)
        return y + ds / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
