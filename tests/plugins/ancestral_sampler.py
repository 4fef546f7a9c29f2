"""Ancestral sampling with the variance of the forward step (Ho et al. 2020, algorithm 2)."""

import math

import torch

import mfbench


class Ancestral(mfbench.Sampler):
    """x_s = (x_t - b / sqrt(1 - abar_t) eps) / sqrt(1 - b) + sqrt(b) z, with b = 1 - abar_t / abar_s."""

    deterministic = False

    def sample(self, predictor, x_start, *, step, rng=None):
        steps = math.ceil(predictor.schedule.num_steps / step)
        times = (1 - torch.arange(steps + 1) * (step / predictor.schedule.num_steps)).clamp(min=0).to(x_start)
        abar, x = predictor.schedule.alpha_bar(times), x_start
        for late, early, t in zip(abar, abar[1:], times):
            bbar = 1 - late / early
            x = (x - bbar / (1 - late).sqrt() * predictor(x, t.expand(len(x)))) / (1 - bbar).sqrt()
            if early < 1:
                z = torch.randn(x.shape, generator=rng, device=x.device, dtype=x.dtype)
                x = x + bbar.sqrt() * z
        return x


@mfbench.hookimpl
def mfbench_register(registry):
    registry.sampler("ancestral", Ancestral, summary="ancestral sampling, noiseless at the end")
