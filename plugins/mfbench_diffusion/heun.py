"""Heun's method on the probability-flow ODE (Karras et al. 2022, algorithm 1 without churn)."""

from __future__ import annotations

from torch import Tensor

from mfbench_diffusion.flow import Flow, FlowSampler
from mfbench_diffusion.grids import Level


class Heun(FlowSampler):
    """The trapezoidal rule with an Euler predictor: second order.

    Karras et al. end with an Euler step because their right-hand side divides by sigma; written with eps it
    does not, and Heun's step goes all the way to sigma = 0.
    """

    evaluations_per_step = 2

    def advance(self, flow: Flow, y: Tensor, stages: tuple[Level, ...]) -> Tensor:
        here, there = stages
        ds = there.sigma - here.sigma
        k1 = flow(y, here)
        k2 = flow(y + ds * k1, there)
        return y + ds / 2 * (k1 + k2)
