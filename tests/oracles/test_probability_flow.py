"""The probability-flow likelihood against exact densities: PAPER.md, sections 2 and 5 (oracle 3)."""

from __future__ import annotations

import pytest
import torch
from diffusion_fakes import SPECTRUM, gaussian, mixture, seeded
from mfbench_diffusion.ode import DiffusionODE

T = 1000


def likelihood(predictor, **parameters):
    made = DiffusionODE(generator=None, **parameters)
    made.predictor = predictor
    return made


def rms_error(data, log_prob, x):
    return (log_prob - data.log_density(x)).square().mean().sqrt().item()


@pytest.mark.parametrize(("steps", "bound"), [(25, 0.01), (50, 0.001), (100, 1e-4)])
def test_mixture(steps, bound):
    """0.01 nat at 100 evaluations and fourth order from there."""
    data = mixture(test_count=200)
    x = data.test.x.double()
    assert rms_error(data, likelihood(data.noise_predictor(T), steps=steps).log_prob(x), x) < bound


@pytest.mark.parametrize(("steps", "bound"), [(25, 0.04), (50, 0.03)])
def test_gaussian_in_64_dimensions(steps, bound):
    data = gaussian(test_count=50)
    x = data.test.x.double()
    assert rms_error(data, likelihood(data.noise_predictor(T), steps=steps).log_prob(x), x) < bound


def test_density_integrates_to_one():
    data = mixture(components=3, radius=0.6, scale=0.25)
    edge = torch.linspace(-2.5, 2.5, 81, dtype=torch.float64)
    grid = torch.cartesian_prod(edge, edge)
    density = likelihood(data.noise_predictor(100), steps=25).log_prob(grid).exp()
    assert density.sum().item() * (edge[1] - edge[0]).item() ** 2 == pytest.approx(1, abs=2e-3)


def test_hutchinson_is_unbiased_and_knows_its_error():
    """In a rotated basis the Jacobian has an off-diagonal part, which is what the probes are noisy about."""
    data = gaussian(SPECTRUM[::4], rotate=True, test_count=300)
    x, predictor = data.test.x.double(), data.noise_predictor(T)
    exact = likelihood(predictor, steps=25, divergence="exact").log_prob(x)
    noisy = likelihood(predictor, steps=25, divergence="hutchinson", probes=4)
    estimate, error = noisy.log_prob_with_error(x, rng=seeded(1))
    z = (estimate - exact) / error
    assert 0.05 < error.mean() < 2
    assert abs(z.mean().item()) < 4 / 300**0.5
    assert z.std().item() == pytest.approx(1, abs=0.2)


def test_more_probes_less_error():
    data = gaussian(SPECTRUM[::4], rotate=True, test_count=50)
    x, predictor = data.test.x.double(), data.noise_predictor(T)
    few, many = (
        likelihood(predictor, steps=10, divergence="hutchinson", probes=probes)
        .log_prob_with_error(x, rng=seeded(1))[1]
        .mean()
        for probes in (2, 32)
    )
    assert many / few == pytest.approx((2 / 32) ** 0.5, rel=0.25)


def test_one_probe_gives_no_error():
    data = gaussian([0.5, 2.0], rotate=True, test_count=5)
    made = likelihood(data.noise_predictor(100), steps=5, divergence="hutchinson", probes=1)
    estimate, error = made.log_prob_with_error(data.test.x, rng=seeded(1))
    assert torch.isfinite(estimate).all()
    assert error.isnan().all()
