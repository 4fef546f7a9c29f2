"""Densities of the point sets against independent evidence: mass, quadrature, closed forms, draws."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
import torch
from scipy import integrate, special, stats

from mfbench.datasets.analytic import Gaussian, GaussianMixture
from mfbench.datasets.points import (
    PI,
    Arc,
    Checkerboard,
    Circles,
    CurveSet,
    Moons,
    Pinwheel,
    SCurve,
    SwissRoll,
)

SETS = [SwissRoll, Circles, Moons, SCurve, Pinwheel, Checkerboard]
PLANAR = [*SETS, GaussianMixture, Gaussian]


def spread_points(count: int, scale: float, seed: int = 0) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    return scale * torch.randn(count, 2, generator=rng, dtype=torch.float64)


CELLS, FINE = 20, 12


@cache
def density_grid(kind) -> tuple[float, torch.Tensor]:
    """Half the side of a square that holds the set, and log p at the midpoints of a fine grid on it."""
    reach = 8.0 if kind is Gaussian else 4.0
    step = 2 * reach / (CELLS * FINE)
    side = torch.arange(CELLS * FINE, dtype=torch.float64).add(0.5) * step - reach
    return reach, kind().log_density(torch.cartesian_prod(side, side)) + 2 * math.log(step)


@pytest.mark.parametrize("kind", PLANAR)
def test_density_integrates_to_one(kind):
    _, log_mass = density_grid(kind)
    assert log_mass.exp().sum().item() == pytest.approx(1, abs=1e-7)


@pytest.mark.parametrize("kind", PLANAR)
def test_mean_log_density_of_draws_is_minus_the_entropy(kind):
    """Draws and density are two pieces of code: E log p over draws must equal the integral of p log p."""
    reach, log_mass = density_grid(kind)
    log_density = log_mass - 2 * math.log(2 * reach / (CELLS * FINE))
    negative_entropy = (log_mass.exp() * log_density).sum().item()
    values = kind().log_density(kind(count=20_000).train.x.double())
    assert abs(values.mean().item() - negative_entropy) < 4 * values.std().item() / math.sqrt(len(values))


@pytest.mark.parametrize("kind", PLANAR)
def test_draws_fall_into_cells_as_often_as_the_density_says(kind):
    """Chi-square on 20 x 20 cells, whose mass is integrated from the density; the rest is one cell."""
    count = 40_000
    reach, log_mass = density_grid(kind)
    mass = log_mass.exp().reshape(CELLS, FINE, CELLS, FINE).sum((1, 3)).flatten().numpy()
    drawn = kind(count=count, seed=5).train.x.numpy()
    edges = np.linspace(-reach, reach, CELLS + 1)
    observed = np.histogram2d(drawn[:, 0], drawn[:, 1], bins=[edges, edges])[0].ravel()
    busy = mass * count > 5
    counted = np.append(observed[busy], count - observed[busy].sum())
    expected = np.append(mass[busy], 1 - mass[busy].sum()) * count
    assert expected[-1] < 0.01 * count
    statistic = ((counted - expected) ** 2 / np.maximum(expected, 1)).sum()
    assert stats.chi2.sf(statistic, busy.sum()) > 1e-4


@pytest.mark.parametrize("kind", SETS)
def test_moments_are_the_distributions(kind):
    x = kind(count=40_000).train.x.double()
    error = 1 / math.sqrt(len(x))
    assert x.mean(0).abs().max() < 4.5 * error
    assert (x.square().mean(0) - 1).abs().max() < 4.5 * error * x.square().std()


def test_moments_have_their_closed_forms():
    a, b = 1.5 * PI, 4.5 * PI
    mean, deviation = SwissRoll().moments
    x_mean = ((b * math.sin(b) + math.cos(b)) - (a * math.sin(a) + math.cos(a))) / (b - a)
    z_mean = ((-b * math.cos(b) + math.sin(b)) - (-a * math.cos(a) + math.sin(a))) / (b - a)
    np.testing.assert_allclose(mean, [x_mean, z_mean], rtol=1e-12)

    def square_integral(u: float) -> float:  # of u^2 cos^2 u
        return u**3 / 6 + (u**2 / 4 - 1 / 8) * math.sin(2 * u) + u * math.cos(2 * u) / 4

    x_square = (square_integral(b) - square_integral(a)) / (b - a)
    assert deviation[0] == pytest.approx(math.sqrt(x_square - x_mean**2 + 0.25), rel=1e-12)
    mean, deviation = Moons().moments
    np.testing.assert_allclose(mean, [0.5, 0.25], rtol=1e-12)
    y_variance = (0.5 + (0.25 - 2 / PI + 0.5)) / 2 - 0.25**2  # E y^2 of both moons, without noise
    np.testing.assert_allclose(deviation**2 - 0.05**2, [0.75, y_variance], rtol=1e-12)
    np.testing.assert_allclose(Pinwheel().moments[0], 0, atol=1e-13)


@pytest.mark.parametrize(
    ("kind", "curves"),
    [
        (SwissRoll, [(lambda u: (u * math.cos(u), u * math.sin(u)), 1.5 * PI, 4.5 * PI)]),
        (
            Moons,
            [
                (lambda u: (math.cos(u), math.sin(u)), 0, PI),
                (lambda u: (1 - math.cos(u), 0.5 - math.sin(u)), 0, PI),
            ],
        ),
        (
            SCurve,
            [(lambda u: (math.sin(u), math.copysign(1, u) * (math.cos(u) - 1)), -1.5 * PI, 1.5 * PI)],
        ),
    ],
)
def test_curves_against_adaptive_quadrature(kind, curves):
    data = kind()
    mean, deviation = data.moments
    for x in [*data.test.x[:4].double(), *spread_points(4, 1.5)]:
        point = x.numpy() * deviation + mean

        def exponent(u: float, curve, point=point) -> float:
            return ((np.array(curve(u)) - point) ** 2).sum() / (2 * data.noise**2)

        grids = [np.linspace(start, stop, 4001) for _, start, stop in curves]
        nearest = [min(exponent(u, c[0]) for u in grid) for c, grid in zip(curves, grids)]
        least, total = min(nearest), 0.0
        for (curve, start, stop), grid in zip(curves, grids):
            best = grid[np.argmin([exponent(u, curve) for u in grid])]
            value, _ = integrate.quad(
                lambda u, curve=curve, least=least: math.exp(least - exponent(u, curve)),
                start, stop, points=[best], epsabs=1e-13, epsrel=1e-11, limit=2000,
            )  # fmt: skip
            total += value / (stop - start) / len(curves)
        expected = math.log(total / (2 * PI * data.noise**2)) - least + np.log(deviation).sum()
        assert data.log_density(x[None]).item() == pytest.approx(expected, abs=1e-7)


class CirclesByQuadrature(CurveSet):
    """Circles along the way that curves without a closed form take."""

    name = "circles_by_quadrature"
    arcs = tuple(Arc(lambda u, r=r: r * np.stack([np.cos(u), np.sin(u)], 1), 0, 2 * PI) for r in (1.0, 0.5))


@pytest.mark.parametrize("noise", [0.02, 0.05, 0.5])
def test_quadrature_meets_the_bessel_function(noise):
    x = spread_points(2000, 2.0)
    closed, summed = Circles(noise=noise), CirclesByQuadrature(noise=noise)
    np.testing.assert_allclose(closed.moments[1], summed.moments[1], rtol=1e-12)
    torch.testing.assert_close(closed.log_density(x), summed.log_density(x), rtol=1e-11, atol=1e-7)


def test_far_points_against_the_distance_to_the_nearest_point():
    """-log p approaches half the squared distance in noise widths; float32 in, finite float32 out."""
    for kind in SETS:
        data = kind()
        deviation = data.moments[1]
        x = torch.tensor([[300.0, -400.0], [0.0, 1e5]])
        values = data.log_density(x)
        assert values.dtype == torch.float32
        width = data.noise if kind is not Pinwheel else math.hypot(data.noise, 0.1)
        squared = ((x.double().numpy() * deviation) ** 2).sum(1) / (2 * width**2)
        np.testing.assert_allclose(values.numpy(), -squared, rtol=0.8 if kind is Pinwheel else 0.02)


def test_far_points_on_the_axis_of_a_moon():
    """Below the left end of the upper moon, the arc is a straight line that ends: a normal integral."""
    noise = 0.002
    data = Moons(noise=noise)
    mean, deviation = data.moments
    depth = np.array([0.5, 1.0, 2.0]) * noise * 10
    below = np.stack([-np.ones(3), -depth], 1)  # the end is at (-1, 0), the tangent there points up
    values = data.log_density(torch.from_numpy((below - mean) / deviation))
    across = -math.log(2 * PI * noise**2) / 2
    along = special.log_ndtr(-depth / noise) - math.log(2 * PI)  # half of the mass over a length of pi
    np.testing.assert_allclose(values.numpy(), across + along + np.log(deviation).sum(), atol=3e-3)


def test_pinwheel_against_a_sum_over_a_fine_grid():
    """The two latent coordinates and the noise, convolved by brute force with a midpoint rule in both."""
    data = Pinwheel()
    mean, deviation = data.moments
    a = (np.arange(6000) + 0.5) / 6000 * 3 - 0.5
    b = ((np.arange(400) + 0.5) / 400 - 0.5) * 1.4
    weight = stats.norm.pdf(a, 1, 0.3)[:, None] * stats.norm.pdf(b, 0, 0.1)
    weight /= weight.sum() * 5
    for x in data.test.x[:5].double():
        point, total = x.numpy() * deviation + mean, 0.0
        for arm in range(5):
            angle = 2 * PI * arm / 5 + 0.25 * np.exp(a)[:, None]
            across = a[:, None] * np.cos(angle) - b * np.sin(angle)
            up = a[:, None] * np.sin(angle) + b * np.cos(angle)
            distance = (across - point[0]) ** 2 + (up - point[1]) ** 2
            total += (weight * np.exp(-distance / (2 * 0.05**2))).sum()
        expected = math.log(total / (2 * PI * 0.05**2)) + np.log(deviation).sum()
        assert data.log_density(x[None]).item() == pytest.approx(expected, abs=1e-6)


def test_checkerboard_against_normal_distribution_functions():
    data = Checkerboard(noise=0.1)
    _, deviation = data.moments
    assert deviation[0] == pytest.approx(math.sqrt(16 / 12 + 0.01))
    for x in spread_points(20, 1.0):
        u, v = x.numpy() * deviation
        total = sum(
            (stats.norm.cdf((u - i) / 0.1) - stats.norm.cdf((u - i - 1) / 0.1))
            * (stats.norm.cdf((v - j) / 0.1) - stats.norm.cdf((v - j - 1) / 0.1))
            for i in range(-2, 2)
            for j in range(-2, 2)
            if (i + j) % 2 == 0
        )
        if total > 1e-9:  # beyond, these differences have no digits left
            expected = math.log(total / 8) + np.log(deviation).sum()
            assert data.log_density(x[None]).item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("kind", PLANAR)
def test_density_is_the_same_on_cuda(kind):
    x = spread_points(100, 1.5)
    there = kind().log_density(x.cuda())
    assert there.is_cuda
    torch.testing.assert_close(there.cpu(), kind().log_density(x), rtol=1e-10, atol=1e-8)
