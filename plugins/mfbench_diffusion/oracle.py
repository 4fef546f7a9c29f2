"""The exact solution of the probability-flow ODE, for every other sampler to be measured against."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from scipy.integrate import solve_ivp
from torch import Tensor

from mfbench import NoisePredictor, Sampler
from mfbench_diffusion.arguments import require_positive
from mfbench_diffusion.flow import Flow
from mfbench_diffusion.grids import ASINH_SCALE, levels_at, levels_of

_CHUNK = 2**20
"""Numbers solved for together: DOP853 keeps sixteen arrays of them in float64."""


class Oracle(Sampler):
    """SciPy's DOP853 (Dormand and Prince, order 8, adaptive), in float64; `step` is ignored.

    `tolerance`: absolute and relative error allowed in every component of every sample in each of the
    solver's steps.
    """

    role = "ceiling"
    evaluations_per_step = None

    def __init__(self, tolerance: float = 1e-8) -> None:
        require_positive("oracle", tolerance=tolerance)
        self.tolerance = tolerance

    @torch.no_grad()
    def sample(
        self, predictor: NoisePredictor, x_start: Tensor, *, step: float, rng: torch.Generator | None = None
    ) -> Tensor:
        rows = max(1, _CHUNK // max(1, x_start[0].numel()))
        parts = [_solve(predictor, part, self.tolerance) for part in torch.split(x_start.double(), rows)]
        return torch.cat(parts).to(x_start.dtype)


def _solve(predictor: NoisePredictor, x: Tensor, tolerance: float) -> Tensor:
    """x at t = 1 (float64) carried to t = 0 in u = asinh(sigma / 0.1): dy/du = eps dsigma/du."""
    flow, schedule = Flow(predictor), predictor.schedule
    (top,) = levels_at(schedule, torch.ones(1, dtype=torch.float64))

    def slope(u: float, flat: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        y = torch.from_numpy(flat).to(x.device).view_as(x)
        sigma = torch.tensor([ASINH_SCALE * math.sinh(u)], dtype=torch.float64)
        eps = flow(y, *levels_of(schedule, sigma))
        return eps.cpu().numpy().ravel() * (ASINH_SCALE * math.cosh(u))

    # SciPy bounds the root mean square over all components: at 1 / sqrt(size) of it none exceeds its own
    share = tolerance / math.sqrt(x.numel())
    start = (x / top.scale).cpu().numpy().ravel()
    solution = solve_ivp(
        slope,
        (math.asinh(top.sigma / ASINH_SCALE), 0.0),
        start,
        method="DOP853",
        t_eval=(0.0,),
        rtol=share,
        atol=share,
    )
    if not solution.success:
        raise ArithmeticError(f"the probability-flow ODE was not solved: {solution.message}")
    return torch.from_numpy(solution.y[:, -1].copy()).to(x.device).view_as(x)
