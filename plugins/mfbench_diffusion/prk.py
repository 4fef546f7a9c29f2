"""The pseudo Runge-Kutta step that warms up PNDM (Liu et al. 2022, Eq. 12)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mfbench import NoiseSchedule
from mfbench_diffusion.flow import Flow, FlowSampler
from mfbench_diffusion.grids import Level, levels_at


class PseudoRungeKutta(FlowSampler):
    """The weighted mean of four eps, then one DDIM transfer with it.

    Its half-step lies half-way in t and each transfer is DDIM's, so it is second order inside and first order
    in the last step to t = 0: not Runge-Kutta's fourth.
    """

    evaluations_per_step = 4

    def stages(self, schedule: NoiseSchedule, levels: Sequence[Level]) -> list[tuple[Level, ...]]:
        times = torch.tensor([level.t for level in levels], dtype=torch.float64)
        middles = levels_at(schedule, (times[:-1] + times[1:]) / 2)
        return list(zip(levels, middles, levels[1:]))

    def advance(self, flow: Flow, y: Tensor, stages: tuple[Level, ...]) -> Tensor:
        here, middle, there = stages
        half, whole = middle.sigma - here.sigma, there.sigma - here.sigma
        e1 = flow(y, here)
        e2 = flow(y + half * e1, middle)
        e3 = flow(y + half * e2, middle)
        e4 = flow(y + whole * e3, there)
        return y + whole / 6 * (e1 + 2 * e2 + 2 * e3 + e4)
