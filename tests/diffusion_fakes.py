"""Distributions with exact noise predictors, and what the tests of samplers and likelihoods measure."""

from __future__ import annotations

import numpy as np
import torch

from mfbench.datasets.analytic import Gaussian, GaussianMixture
from mfbench.schedules import LinearSchedule

SPECTRUM = torch.logspace(-2, float(np.log10(2.0)), 64, dtype=torch.float64)
"""Of the 64-D Gaussian of PAPER.md, section 2: variances from 0.01 to 2, evenly in the logarithm."""


def mixture(**parameters):
    """Eight components on a circle."""
    return GaussianMixture(**parameters)


def gaussian(spectrum=SPECTRUM, **parameters):
    values = torch.as_tensor(spectrum, dtype=torch.float64).tolist()
    return Gaussian(dim=len(values), spectrum=values, **parameters)


def noise(count, dim, seed=0, dtype=torch.float64):
    """x_T ~ N(0, I)."""
    return torch.randn(count, dim, generator=seeded(seed), dtype=dtype)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def exact_flow(x, spectrum, num_steps):
    """x at t = 1 carried to t = 0 along the probability-flow ODE of N(0, diag(v)):
    every x_t / sqrt(abar v + 1 - abar) stays as it is.
    """
    alpha_bar = LinearSchedule(num_steps).alpha_bar(torch.ones((), dtype=torch.float64))
    return x * (spectrum / (alpha_bar * spectrum + 1 - alpha_bar)).sqrt()


def rms_distance(x, y):
    """Root mean square over the samples of their distance."""
    return (x - y).square().sum(1).mean().sqrt().item()


def median_distance(x, y):
    return (x - y).norm(dim=1).median().item()


def fitted_order(counts, errors):
    """-d log(error) / d log(steps), by least squares."""
    return -np.polyfit(np.log(counts), np.log(errors), 1)[0]
