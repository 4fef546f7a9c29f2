"""UniPC (Zhao et al. 2023, algorithms 1, 2): multistep predictor and corrector, one evaluation a step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from mfbench import NoisePredictor
from mfbench_diffusion.arguments import require_at_least
from mfbench_diffusion.flow import Flow, FlowSampler
from mfbench_diffusion.grids import Grid, Level

Array: TypeAlias = np.ndarray[Any, Any]


class UniPC(FlowSampler):
    """UniPC-p in data prediction with B(h) = e^h - 1 ("bh2"), p = `order`.

    The corrector uses the evaluation at the predicted point, which the next step needs anyway. The order
    grows from 1 with the history and falls to 1 in the last step, to lambda = -log sigma = infinity.
    """

    evaluations_per_step = 1

    def __init__(self, grid: Grid = "t", order: int = 3) -> None:
        """`order`: at least 1 (UserError); 3 is the authors' choice without guidance."""
        super().__init__(grid)
        require_at_least("unipc", 1, order=order)
        self.order = order

    def carry(self, predictor: NoisePredictor, x: Tensor, levels: Sequence[Level]) -> Tensor:
        flow, slots = Flow(predictor), self.order + 1
        plan = torch.from_numpy(_plan(tuple(level.sigma for level in levels), self.order)).to(x)
        terms = x.new_zeros(1 + slots, x.numel())  # y, and the last x_0
        terms[0] = (x / levels[0].scale).flatten()
        predicted = terms[0].view(x.shape)
        for i, (weights, here) in enumerate(zip(plan.unbind(), levels)):
            data = terms[1 + i % slots].view(x.shape)  # x_0 at the predicted point
            torch.sub(predicted, flow(predicted, here), alpha=here.sigma, out=data)
            terms[0], following = weights @ terms
            predicted = following.view(x.shape)
        return predicted * levels[-1].scale


@lru_cache(maxsize=8)  # the batches of a sample share it
def _plan(sigmas: tuple[float, ...], order: int) -> Array:
    """(steps, 2, 2 + order): the weights of y and of x_0 in each step, in float64.

    Row 0 is the corrector's y at the step's beginning, row 1 the predictor's at its end; column 0 weighs the
    corrected y of the step before, column 1 + j % (order + 1) the x_0 of evaluation j.
    """
    steps = len(sigmas) - 1
    plan = np.zeros((steps, 2, 2 + order))
    plan[0, 0, 0] = 1
    used: list[int] = []  # evaluations that the predictor uses, newest last
    for i in range(steps):
        if i > 0:  # corrector, of the last step's order
            plan[i, 0] = _transfer(sigmas, order, used[-1], [*used[:-1], i], i)
        count = min(order, i + 1, steps - i)
        used = list(range(i + 1 - count, i + 1))
        plan[i, 1] = _transfer(sigmas, order, i, used[:-1], i + 1)
        kept, plan[i, 1, 0] = plan[i, 1, 0], 0
        plan[i, 1] += kept * plan[i, 0]  # what it keeps is the corrected y
    return plan


def _transfer(sigmas: tuple[float, ...], order: int, start: int, others: list[int], to: int) -> Array:
    """The weights, as in `_plan`, that carry y from sigmas[start] to sigmas[to] with the help of x_0 of the
    evaluations `others`: UniC where `to` is among them, else UniP.

    y_t = e^-h y_s + (1 - e^-h) (D_s + sum_m rho_m (D_m - D_s) / r_m),  r_m = (lambda_m - lambda_s) / h.
    """
    shares: list[float] = []
    if others:
        h = math.log(sigmas[start] / sigmas[to])
        ratios = [math.log(sigmas[start] / sigmas[m]) / h for m in others]
        shares = [weight / ratio for weight, ratio in zip(_weights(ratios, h), ratios)]
    weights = np.zeros(2 + order)
    weights[0] = kept = sigmas[to] / sigmas[start]
    for m, share in zip([start, *others], [1 - sum(shares), *shares]):
        weights[1 + m % (order + 1)] = (1 - kept) * share
    return weights


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
