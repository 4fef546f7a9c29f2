"""UniPC (Zhao et al. 2023, algorithms 1, 2): multistep predictor and corrector, one evaluation a step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from mfbench import NoisePredictor, UserError
from mfbench_diffusion.flow import Flow, FlowSampler
from mfbench_diffusion.grids import Grid, Level

Past = list[tuple[float, Tensor]]
"""(sigma, x_0 predicted there), oldest first."""


class UniPC(FlowSampler):
    """UniPC-p in data prediction with B(h) = e^h - 1 ("bh2"), p = `order`.

    The corrector uses the evaluation at the predicted point, which the next step needs anyway. The order
    grows from 1 with the history and falls to 1 in the last step, to lambda = -log sigma = infinity.
    """

    evaluations_per_step = 1

    def __init__(self, grid: Grid = "t", order: int = 3) -> None:
        """`order`: at least 1 (UserError); 3 is the authors' choice without guidance."""
        super().__init__(grid)
        if order < 1:
            raise UserError(f"unipc: order = {order}: the order is at least 1")
        self.order = order

    def carry(self, predictor: NoisePredictor, x: Tensor, levels: Sequence[Level]) -> Tensor:
        flow = Flow(predictor)
        y = predicted = x / levels[0].scale
        past: Past = []
        for i, (here, there) in enumerate(pairwise(levels)):
            data = predicted - here.sigma * flow(predicted, here)  # x_0 at the predicted point
            if past:
                y = _transfer(y, past, (here.sigma, data), here.sigma)  # corrector, of the last step's order
            past = (
                [*past[-(self.order - 1) :], (here.sigma, data)] if self.order > 1 else [(here.sigma, data)]
            )
            order = min(self.order, i + 1, len(levels) - 1 - i)
            past = past[-order:]
            predicted = _transfer(y, past, None, there.sigma)
        return predicted * levels[-1].scale


def _transfer(y: Tensor, past: Past, arrived: tuple[float, Tensor] | None, sigma: float) -> Tensor:
    """y carried from the newest of `past` to `sigma`: UniC where x_0 has `arrived` there already, else UniP.

    y_t = e^-h y_s + (1 - e^-h) (D_s + sum_m rho_m (D_m - D_s) / r_m),  r_m = (lambda_m - lambda_s) / h.
    """
    start, data = past[-1]
    others = past[:-1] if arrived is None else [*past[:-1], arrived]
    target = data
    if others:
        h = math.log(start / sigma)
        ratios = [math.log(start / level) / h for level, _ in others]
        shares = [weight / ratio for weight, ratio in zip(_weights(ratios, h), ratios)]
        target = (1 - sum(shares)) * data
        for share, (_, other) in zip(shares, others):
            target.add_(other, alpha=share)
    return torch.lerp(target, y, sigma / start)


def _weights(ratios: list[float], h: float) -> list[float]:
    """rho with R rho = b: R_km = r_m^(k-1), b_k = k! phi_{k+1}(-h) / (1 - e^-h)  (Eq. 7; data prediction).

    For a single point the authors take 1/2, its limit at h = 0.
    """
    if len(ratios) == 1:
        return [0.5]
    phi = math.expm1(-h)
    b, remainder = [], phi
    for k in range(1, len(ratios) + 1):
        remainder = (
            remainder / -h * k - 1
        )  # k! (phi_k - 1/k!) / (-h), in the recursion phi_{k+1} = (phi_k - 1/k!) / z
        b.append(remainder / phi)
    solution: list[float] = np.linalg.solve(np.vander(ratios, increasing=True).T, b).tolist()
    return solution
