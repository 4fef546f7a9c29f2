"""Ancestral sampling (Ho et al. 2020, algorithm 2) with steps of any length (Tu et al. 2023, Eq. 12-15)."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

from mfbench import NoisePredictor, Sampler
from mfbench_diffusion.grids import evaluate, t_grid
from mfbench_diffusion.randomness import noise_like, required
from mfbench_diffusion.transition import Transition, Variance


class DDPMSampler(Sampler):
    """x_s = mu(x_s | x_t) + sigma_st z down the grid of steps h in t.

    `variance`: of the reverse transitions. `final_noise`: the last step is noiseless unless this is True;
    then it has the first variance (the second is 0 there), and the samples follow the chain whose density
    `diffusion_markov` bounds.
    """

    deterministic = False
    evaluations_per_step = 1

    def __init__(self, variance: Variance = "beta", final_noise: bool = False) -> None:
        self.variance: Variance = variance
        self.final_noise = final_noise

    @torch.no_grad()
    def sample(
        self, predictor: NoisePredictor, x_start: Tensor, *, step: float, rng: torch.Generator | None = None
    ) -> Tensor:
        x, rng = x_start, required(rng)
        levels = t_grid(predictor.schedule, step)
        for late, early in pairwise(levels):
            transition = Transition(early, late)
            x = transition.mean(x, evaluate(predictor, x, late.t))
            variance = transition.variance(self.variance)
            if early.t == 0:
                variance = transition.beta_bar if self.final_noise else 0.0
            if variance > 0:
                x += variance**0.5 * noise_like(x, rng)
        return x
