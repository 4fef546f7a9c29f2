"""DPM-Solver++(2M) (Lu et al. 2022, algorithm 2): a second-order multistep solver in data prediction."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from mfbench import NoisePredictor
from mfbench_diffusion.flow import Flow, FlowSampler
from mfbench_diffusion.grids import Level


class DPMSolverPP2M(FlowSampler):
    """Integrates x_0(lambda) exactly for a linear interpolation through the last two evaluations.

    lambda = -log sigma. The first step has no past, and the last one goes to lambda = infinity, where linear
    extrapolation makes no sense: both are first order, as the authors advise.
    """

    evaluations_per_step = 1

    def carry(self, predictor: NoisePredictor, x: Tensor, levels: Sequence[Level]) -> Tensor:
        flow = Flow(predictor)
        y = x / levels[0].scale
        past: Tensor | None = None
        for i, (here, there) in enumerate(pairwise(levels)):
            data = y - here.sigma * flow(y, here)  # x_0
            target = data
            if past is not None and there.sigma > 0:
                r = math.log(levels[i - 1].sigma / here.sigma) / math.log(here.sigma / there.sigma)
                target = data + (data - past) / (2 * r)  # D_i = (1 + 1/2r) x_0(i) - 1/2r x_0(i - 1)
            y = torch.lerp(target, y, there.sigma / here.sigma)  # e^-h y + (1 - e^-h) D
            past = data
        return y * levels[-1].scale
