"""Exact noise predictors: the score of the diffused density, and the posterior mean by brute force."""

from __future__ import annotations

import math

import pytest
import torch

from mfbench.datasets.analytic import Gaussian, GaussianMixture
from mfbench.schedules import LinearSchedule

STEPS = 1000
TIMES = (0.001, 0.01, 0.1, 0.35, 0.7, 1.0)


def data_sets():
    yield Gaussian()
    yield Gaussian(dim=64, spectrum=torch.logspace(-2, 0.3, 64).tolist(), rotate=True)
    yield GaussianMixture()
    yield GaussianMixture(components=3, dim=5, means=[0.3 * i - 2 for i in range(15)], weights=[1, 2, 3])


def diffused_log_density(data, x: torch.Tensor, alpha_bar: float) -> torch.Tensor:
    """log p_t by torch.distributions: an independent path to the same distribution."""
    (dim,) = data.shape
    identity = torch.eye(dim, dtype=torch.float64)
    if isinstance(data, Gaussian):
        basis = torch.from_numpy(data.basis)
        covariance = (
            alpha_bar * basis * torch.from_numpy(data.spectrum) @ basis.T + (1 - alpha_bar) * identity
        )
        mean = torch.zeros(dim, dtype=torch.float64)
        return torch.distributions.MultivariateNormal(mean, covariance).log_prob(x)
    covariance = (alpha_bar * data.scale**2 + 1 - alpha_bar) * identity
    centres = math.sqrt(alpha_bar) * torch.from_numpy(data.means)
    return torch.distributions.MixtureSameFamily(
        torch.distributions.Categorical(torch.from_numpy(data.weights)),
        torch.distributions.MultivariateNormal(centres, covariance.expand(len(centres), dim, dim)),
    ).log_prob(x)


@pytest.mark.parametrize("index", range(4))
def test_eps_is_minus_sigma_times_the_score(index):
    data = list(data_sets())[index]
    predictor = data.noise_predictor(STEPS)
    rng = torch.Generator().manual_seed(0)
    for time in TIMES:
        x = torch.randn(40, *data.shape, generator=rng, dtype=torch.float64).requires_grad_()
        alpha_bar = predictor.schedule.alpha_bar(torch.tensor(time, dtype=torch.float64)).item()
        (score,) = torch.autograd.grad(diffused_log_density(data, x, alpha_bar).sum(), x)
        eps = predictor(x, torch.full((40,), time, dtype=torch.float64))
        torch.testing.assert_close(eps, -math.sqrt(1 - alpha_bar) * score, rtol=1e-10, atol=1e-10)


def test_standard_normal_data_give_the_closed_form():
    """For N(0, I): eps = sqrt(1 - abar) x at every t."""
    predictor = Gaussian(dim=3).noise_predictor(100)
    x, t = torch.randn(50, 3, dtype=torch.float64), torch.rand(50, dtype=torch.float64)
    beta_bar = 1 - predictor.schedule.alpha_bar(t)
    torch.testing.assert_close(predictor(x, t), beta_bar.sqrt()[:, None] * x, rtol=1e-12, atol=1e-12)


def test_mixture_eps_is_the_mean_of_the_noise_that_made_x():
    """E[eps | x_t] by weighing many clean points x_0: no derivative, no formula of the mixture."""
    data = GaussianMixture(scale=0.3, count=400_000)
    predictor, t = data.noise_predictor(100), torch.tensor([0.4], dtype=torch.float64)
    alpha_bar = predictor.schedule.alpha_bar(t)
    clean = data.train.x.double()
    for x in torch.tensor([[0.5, 0.2], [-1.0, 0.8], [0.0, 0.0]], dtype=torch.float64):
        noise = (x - alpha_bar.sqrt() * clean) / (1 - alpha_bar).sqrt()
        weights = (-noise.square().sum(1) / 2).softmax(0)
        torch.testing.assert_close(predictor(x[None], t)[0], weights @ noise, rtol=0, atol=5e-3)


@pytest.mark.parametrize("index", range(4))
def test_shapes_dtypes_ends_and_gradients(index):
    data = list(data_sets())[index]
    predictor = data.noise_predictor(50)
    assert predictor.schedule.num_steps == 50
    x = torch.randn(6, *data.shape)
    t = torch.tensor([0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
    eps = predictor(x, t)
    assert eps.dtype == x.dtype
    assert eps.shape == x.shape
    assert eps.isfinite().all()
    assert (eps[0] == 0).all(), "no noise at t = 0"
    torch.testing.assert_close(eps.double(), predictor(x.double(), t.double()), rtol=1e-4, atol=1e-5)
    few = x[1:3, :3].double() if data.shape == (3,) else x[1:3].double()
    assert torch.autograd.gradcheck(lambda x: predictor(x, t[1:3].double()), (few.requires_grad_(),))


def test_it_is_the_default_schedule():
    t = torch.linspace(0, 1, 37, dtype=torch.float64)
    for data in (Gaussian(), GaussianMixture()):
        schedule = data.noise_predictor(250).schedule
        assert torch.equal(schedule.alpha_bar(t), LinearSchedule(250).alpha_bar(t))


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("index", range(4))
def test_eps_is_the_same_on_cuda(index):
    data = list(data_sets())[index]
    predictor = data.noise_predictor(50)
    x, t = torch.randn(6, *data.shape, dtype=torch.float64), torch.rand(6, dtype=torch.float64)
    torch.testing.assert_close(predictor(x.cuda(), t.cuda()).cpu(), predictor(x, t), rtol=1e-10, atol=1e-12)
