"""Eq. 23 against closed forms and the statistics of PAPER.md, sections 2 and 5 (oracles 1 and 3)."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from diffusion_fakes import gaussian, mixture, noise, seeded
from mfbench_diffusion.markov import DiffusionMarkov
from mfbench_diffusion.model_space import standard_normal

from mfbench.schedules import LinearSchedule


def likelihood(predictor, **parameters):
    made = DiffusionMarkov(generator=None, **parameters)
    made.predictor = predictor
    return made


class StandardNormalPredictor:
    """eps of N(0, I) data of any shape: sqrt(1 - abar) x."""

    def __init__(self, num_steps):
        self.schedule = LinearSchedule(num_steps)

    def __call__(self, x, t):
        return (1 - self.schedule.alpha_bar(t)).sqrt().view(-1, *[1] * (x.ndim - 1)) * x


def chain_variance(v, num_steps, step):
    """Variance of the discretised chain's x_0 for data N(0, v): x_T ~ N(0, 1), then each reverse transition
    x_s = g x_t + sqrt(beta) z, its last one included.
    """
    alpha_bar = LinearSchedule(num_steps).alpha_bar
    total = torch.ones_like(v)
    times = [max(0.0, 1 - k * step / num_steps) for k in range(math.ceil(num_steps / step) + 1)]
    for late, early in pairwise(times):
        a_t, a_s = (alpha_bar(torch.tensor(time, dtype=torch.float64)) for time in (late, early))
        beta = 1 - a_t / a_s
        total = (1 - beta / (a_t * v + 1 - a_t)) ** 2 / (a_t / a_s) * total + beta
    return total


def rms(x):
    return x.square().mean().sqrt().item()


@pytest.mark.parametrize("step", [1, 2.5, 7, 100])
@pytest.mark.parametrize("shape", [(2,), (3, 4, 4)], ids=["points", "images"])
def test_every_path_gives_the_density_of_a_standard_normal(step, shape):
    """The first variance makes the weight of each path log N(x; 0, I), whatever its noise."""
    x = torch.randn(20, *shape, generator=seeded(1), dtype=torch.float64)
    weights = likelihood(StandardNormalPredictor(100), step=step).log_weights(x, rounds=3, rng=seeded(2))
    assert weights.shape == (3, 20)
    assert (weights - standard_normal(x)).abs().max() < 1e-12 * max(1, x[0].numel())


@pytest.mark.parametrize("step", [1, 5])
def test_converges_to_the_density_of_the_discretised_chain(step):
    """2-D Gaussian, 2,000 rounds: rms below 0.02 against the closed form, which is not the data's density."""
    variances = torch.tensor([0.3, 2.0], dtype=torch.float64)
    x = noise(60, 2) * variances.sqrt()
    bound = likelihood(gaussian(variances).noise_predictor(100), rounds=2000, step=step, reduce="logmeanexp")
    chain = chain_variance(variances, 100, step)
    closed = -(x.square() / chain + (2 * math.pi * chain).log()).sum(1) / 2
    estimated = bound.log_prob(x, rng=seeded(1))
    assert rms(estimated - closed) < 0.02
    if step == 5:
        truth = -(x.square() / variances + (2 * math.pi * variances).log()).sum(1) / 2
        assert rms(closed - truth) > 0.03


@pytest.mark.parametrize(
    ("num_steps", "step", "bias", "tolerance"),
    [(1000, 1, -0.03, 0.03), (1000, 10, -0.28, 0.1), (100, 1, -0.28, 0.1), (100, 10, -1.5, 0.4)],
)
def test_bias_of_the_average_on_the_mixture(num_steps, step, bias, tolerance):
    data = mixture(test_count=200)
    x = data.test.x.double()
    average = likelihood(data.noise_predictor(num_steps), rounds=10, step=step)
    assert (average.log_prob(x, rng=seeded(1)) - data.log_density(x)).mean().item() == pytest.approx(
        bias, abs=tolerance
    )


def test_spread_of_a_round_on_the_mixture():
    data = mixture(test_count=100)
    weights = likelihood(data.noise_predictor(1000)).log_weights(
        data.test.x.double(), rounds=20, rng=seeded(1)
    )
    assert weights.std(0).mean().item() == pytest.approx(0.23, abs=0.06)


@pytest.mark.slow
def test_hundred_rounds_on_the_mixture():
    """T = 1000, h = 1, log-mean-exp: rms below 0.06 of the truth (0.03 printed)."""
    data = mixture(test_count=500)
    x = data.test.x.double()
    bound = likelihood(data.noise_predictor(1000), rounds=100, reduce="logmeanexp")
    assert rms(bound.log_prob(x, rng=seeded(1)) - data.log_density(x)) < 0.06


def test_second_variance_is_a_far_noisier_bound():
    data = mixture(test_count=100)
    x = data.test.x.double()
    first, second = (
        likelihood(data.noise_predictor(100), variance=variance).log_weights(x, rounds=50, rng=seeded(1))
        for variance in ("beta", "beta_tilde")
    )
    assert torch.isfinite(second).all()
    assert second.std(0).mean() > 2 * first.std(0).mean()
    assert second.mean() < data.log_density(x).mean()


def test_second_variance_bounds_its_own_chain():
    """On a 1-D Gaussian the exponential of the weights averages to the density of the beta_tilde chain."""
    v, x = torch.tensor([0.5], dtype=torch.float64), torch.tensor([[0.0], [0.4]], dtype=torch.float64)
    alpha_bar = LinearSchedule(100).alpha_bar
    total = torch.ones(1, dtype=torch.float64)
    for k in range(100, 0, -20):
        a_t, a_s = (alpha_bar(torch.tensor(time / 100, dtype=torch.float64)) for time in (k, k - 20))
        beta = 1 - a_t / a_s
        variance = beta if k == 20 else (1 - a_s) / (1 - a_t) * beta
        total = (1 - beta / (a_t * v + 1 - a_t)) ** 2 / (a_t / a_s) * total + variance
    bound = likelihood(
        gaussian(v).noise_predictor(100), rounds=20_000, step=20, variance="beta_tilde", reduce="logmeanexp"
    )
    closed = -(x.square() / total + (2 * math.pi * total).log()).sum(1) / 2
    assert (bound.log_prob(x, rng=seeded(1)) - closed).abs().max() < 0.05


def test_importance_weighted_bound_rises_with_the_rounds():
    """Burda et al. 2016, theorem 1: from the mean (K = 1) on, and towards the truth."""
    data = mixture(test_count=200)
    x, predictor = data.test.x.double(), data.noise_predictor(100)
    bounds = [
        likelihood(predictor, rounds=rounds, step=4, reduce="logmeanexp").log_prob(x, rng=seeded(1)).mean()
        for rounds in (1, 4, 16, 64)
    ]
    assert all(low < high for low, high in pairwise(bounds))
    assert bounds[-1] < data.log_density(x).mean()


def test_mean_is_below_log_mean_exp_of_the_same_paths():
    data = mixture(test_count=50)
    x, predictor = data.test.x.double(), data.noise_predictor(100)
    mean, bound = (
        likelihood(predictor, rounds=5, step=10, reduce=reduce).log_prob(x, rng=seeded(1))
        for reduce in ("mean", "logmeanexp")
    )
    assert (mean < bound).all()
