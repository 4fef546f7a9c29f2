"""Euler's method on the probability-flow ODE in DDIM's variable y = x / sqrt(abar): dy = eps dsigma."""

import math

import torch

import mfbench


class Euler(mfbench.Sampler):
    """y_s = y_t + (sigma_s - sigma_t) eps(sqrt(abar_t) y_t, t), sigma = sqrt((1 - abar) / abar)."""

    deterministic = True
    evaluations_per_step = 1

    def sample(self, predictor, x_start, *, step, rng=None):
        steps = math.ceil(predictor.schedule.num_steps / step)
        times = 1 - torch.arange(steps + 1) * (step / predictor.schedule.num_steps)
        abar = predictor.schedule.alpha_bar(times.clamp(min=0).to(x_start))
        sigma = ((1 - abar) / abar).sqrt()
        y = x_start / abar[0].sqrt()
        for k in range(steps):
            t = torch.full((len(y),), float(times[k]), device=y.device, dtype=y.dtype)
            y = y + (sigma[k + 1] - sigma[k]) * predictor(abar[k].sqrt() * y, t)
        return y


@mfbench.hookimpl
def mfbench_register(registry):
    registry.sampler("euler", Euler, summary="Euler's method on the probability-flow ODE")
