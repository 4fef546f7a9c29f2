"""The probability-flow ODE, and what the samplers that step along it have in common.

In DDIM's variable y = x / sqrt(abar) (Song et al. 2021, section 4.3) it has no linear part and no singularity
down to sigma = 0:

    dy = eps(sqrt(abar) y, t) dsigma,    sigma = sqrt((1 - abar) / abar).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from mfbench import NoisePredictor, NoiseSchedule, Sampler
from mfbench_diffusion.grids import Grid, Level, evaluate, make_grid


class Flow:
    """dy/dsigma of the probability-flow ODE, as a function of y and the noise level."""

    def __init__(self, predictor: NoisePredictor) -> None:
        self.predictor = predictor

    def __call__(self, y: Tensor, level: Level) -> Tensor:
        """eps(sqrt(abar) y, t), the shape of y."""
        return evaluate(self.predictor, level.scale * y, level.t)


class FlowSampler(Sampler):
    """A grid of noise levels and a rule that carries y from each to the next.

    `grid`: "t" puts the step boundaries at multiples of h in t, "asinh" as many steps uniformly in
    asinh(sigma / 0.1), which is the better choice at few steps.
    """

    def __init__(self, grid: Grid = "t") -> None:
        self.grid = grid

    @torch.no_grad()
    def sample(
        self, predictor: NoisePredictor, x_start: Tensor, *, step: float, rng: torch.Generator | None = None
    ) -> Tensor:
        return self.carry(predictor, x_start, make_grid(predictor.schedule, self.grid, step))

    def carry(self, predictor: NoisePredictor, x: Tensor, levels: Sequence[Level]) -> Tensor:
        """x at levels[0] carried through all `levels` to the last one."""
        flow = Flow(predictor)
        y = x / levels[0].scale
        for stages in self.stages(predictor.schedule, levels):
            y = self.advance(flow, y, stages)
        return y * levels[-1].scale

    def stages(self, schedule: NoiseSchedule, levels: Sequence[Level]) -> list[tuple[Level, ...]]:
        """For each step the levels that `advance` is given: by default its beginning and its end."""
        return list(pairwise(levels))

    def advance(self, flow: Flow, y: Tensor, stages: tuple[Level, ...]) -> Tensor:
        """y at the last of `stages` from y at the first."""
        raise NotImplementedError
