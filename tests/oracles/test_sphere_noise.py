"""The sphere's noise predictor: a fine mixture on a circle, its own density's gradient, and limits."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from mfbench_baselines.oracles import ExactDiffusion
from mfbench_ood.flipd import FLIPD
from protocol_fakes import fitted
from scipy import special

from mfbench.datasets.exact_noise import MixturePredictor
from mfbench.datasets.manifolds import EmbeddedSphere, isometry
from mfbench.datasets.sphere_noise import SpherePredictor, bessel_quotient
from mfbench.schedules import LinearSchedule

SCHEDULE = LinearSchedule(1000)
KAPPA = torch.tensor([1e-8, 1e-3, 0.3, 2.0, 10.0, 55.0, 300.0, 1e3, 1e5, 1e7], dtype=torch.float64)


def noisy(data, t, n=50):
    """Points of the test split, diffused to t."""
    x, rng = data.test.x[:n].double(), torch.Generator().manual_seed(0)
    abar = float(SCHEDULE.alpha_bar(torch.tensor([t], dtype=torch.float64)))
    noise = torch.randn(x.shape, generator=rng, dtype=torch.float64)
    return math.sqrt(abar) * x + math.sqrt(1 - abar) * noise, torch.full((n,), t, dtype=torch.float64), abar


@pytest.mark.parametrize("dim", [2, 3, 8, 25])
def test_the_quotient_is_that_of_scipys_bessel_functions(dim):
    kappa = KAPPA.numpy()
    above, below = special.ive(dim / 2, kappa), special.ive(dim / 2 - 1, kappa)
    usable = above > 1e-290
    assert usable.sum() >= 7
    expected = above[usable] / below[usable] / kappa[usable]
    found = bessel_quotient(KAPPA.square(), dim).numpy()
    np.testing.assert_allclose(found[usable], expected, rtol=1e-11)


def test_the_quotient_in_three_dimensions_is_elementary():
    """A(kappa) = coth(kappa) - 1 / kappa."""
    kappa = KAPPA[2:]
    expected = (1 / torch.tanh(kappa) - 1 / kappa) / kappa
    torch.testing.assert_close(bessel_quotient(kappa.square(), 3), expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("dim", [2, 5, 3000])
def test_the_quotient_has_its_limits_and_a_slope_at_zero(dim):
    zero = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    at_zero = bessel_quotient(zero, dim)
    assert at_zero.item() == pytest.approx(1 / dim, rel=1e-13)
    (slope,) = torch.autograd.grad(at_zero.sum(), zero)
    assert slope.item() == pytest.approx(-1 / (dim**2 * (dim + 2)), rel=1e-12)
    far = torch.tensor([1e9], dtype=torch.float64)
    mean = bessel_quotient(far.square(), dim) * far
    assert mean.item() == pytest.approx(1 - (dim - 1) / 2e9 + (dim - 1) * (dim - 3) / 8e18, rel=1e-14)


@pytest.mark.parametrize("t", [0.02, 0.3, 1.0])
@pytest.mark.parametrize("noise", [0.0, 0.2])
def test_on_a_circle_it_is_that_of_many_gaussians(t, noise):
    data = EmbeddedSphere(dimension=1, ambient=5, noise=noise, count=200)
    angles = 2 * math.pi * torch.arange(2000, dtype=torch.float64) / 2000
    means = torch.stack([angles.cos(), angles.sin()], 1) @ torch.from_numpy(isometry(5)[:, :2]).T
    weights = torch.full((2000,), 1 / 2000, dtype=torch.float64)
    expected = MixturePredictor(SCHEDULE, weights, means, noise)
    x, times, _ = noisy(data, t)
    torch.testing.assert_close(
        data.noise_predictor(1000)(x, times), expected(x, times), rtol=1e-9, atol=1e-10
    )


@pytest.mark.parametrize("dimension", [2, 5])
@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_it_is_the_gradient_of_the_diffused_density(dimension, noise):
    """log p_t(x) = -|x|^2 / 2 v + log(kappa^(1 - p/2) I_{p/2 - 1}(kappa)) + constant, by differences."""
    data = EmbeddedSphere(dimension=dimension, ambient=8, noise=noise, count=40)
    x, times, abar = noisy(data, 0.2, n=10)
    p, frame = dimension + 1, isometry(8)[:, : dimension + 1]
    v = abar * noise**2 + 1 - abar

    def log_density(points):
        kappa = math.sqrt(abar) * np.linalg.norm(points @ frame, axis=1) / v
        bessel = np.log(special.ive(p / 2 - 1, kappa)) + kappa + (1 - p / 2) * np.log(kappa)
        return -np.square(points).sum(1) / (2 * v) + bessel

    step = 1e-5 * np.eye(8)
    score = np.stack([(log_density(x.numpy() + e) - log_density(x.numpy() - e)) / 2e-5 for e in step], axis=1)
    expected = -math.sqrt(1 - abar) * score
    np.testing.assert_allclose(data.noise_predictor(1000)(x, times).numpy(), expected, atol=1e-7)


def test_it_is_differentiable_and_keeps_type_and_batch():
    data = EmbeddedSphere(dimension=2, ambient=4, count=40)
    predictor = data.noise_predictor(1000)
    x, times, _ = noisy(data, 0.1, n=4)
    assert torch.autograd.gradcheck(lambda z: predictor(z, times), x.requires_grad_())
    single = predictor(x.detach().float(), times.float())
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), predictor(x.detach(), times), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(predictor(x[:1], times[:1]), predictor(x, times)[:1])
    centre = predictor(torch.zeros(1, 4, dtype=torch.float64), times[:1])
    assert torch.equal(centre, torch.zeros_like(centre)), "no direction is preferred at the centre"


def test_with_noise_it_has_a_limit_at_the_start():
    data = EmbeddedSphere(dimension=2, ambient=4, noise=0.1, count=40)
    assert isinstance(data.noise_predictor(10), SpherePredictor)
    x = data.test.x[:5].double()
    assert torch.equal(data.noise_predictor(1000)(x, torch.zeros(5)), torch.zeros_like(x))


def test_flipd_without_a_networks_error_finds_the_dimension_of_the_sphere():
    """Curvature is all that is left, and goes away with t0: the estimate is d + O(1 - abar)."""
    data = EmbeddedSphere(dimension=3, ambient=8, count=200)
    model = fitted(ExactDiffusion(num_steps=1000), data)
    errors = []
    for t0 in (0.02, 0.005):
        method = fitted(FLIPD(generator=model, t0=t0, divergence="exact"), data)
        found = method.intrinsic_dimension(data.test.x[:20])
        errors.append(float((found - 3).abs().max()))
    assert errors[1] < 0.03
    assert errors[1] < errors[0] / 2
