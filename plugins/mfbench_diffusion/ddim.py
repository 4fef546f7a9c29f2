"""DDIM (Song et al. 2021, Eq. 12 with sigma = 0): Euler steps on the probability-flow ODE."""

from __future__ import annotations

from torch import Tensor

from mfbench_diffusion.flow import Flow, FlowSampler
from mfbench_diffusion.grids import Level


class DDIM(FlowSampler):
    """The deterministic update x_s = sqrt(abar_s) x_0 + sqrt(1 - abar_s) eps: first order."""

    evaluations_per_step = 1

    def advance(self, flow: Flow, y: Tensor, stages: tuple[Level, ...]) -> Tensor:
        here, there = stages
        # with x_0 = (x_t - sqrt(1 - abar_t) eps) / sqrt(abar_t), divided by sqrt(abar_s)
        return y + (there.sigma - here.sigma) * flow(y, here)
