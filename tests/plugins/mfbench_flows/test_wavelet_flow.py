"""The wavelet flow: an orthonormal transform, terms that add up, a density that integrates to one."""

from __future__ import annotations

import math

import pytest
import torch
from flow_fakes import Stripes, fitted, jacobian_log_det, normal, perturbed, seeded
from mfbench_flows.haar import Haar
from mfbench_flows.step import log_standard_normal
from mfbench_flows.wavelet_flow import WaveletFlow
from mfbench_flows.wavelet_pyramid import WaveletPyramid
from torch.nn.functional import avg_pool2d

from mfbench import GeneratesLevels, SuperResolver, Unsupported, UserError

SMALL = {"steps": 2, "width": 6, "features": 4}
TINY = {"levels": 2, "steps": 1, "width": 8, "features": 4, "iterations": 60, "batch_size": 16}


def pyramid(shape, levels, scale=0.2):
    return perturbed(lambda: WaveletPyramid(shape, levels=levels, **SMALL), scale=scale)


# -- Haar ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("factors", [(2, 2), (2, 1), (1, 2)])
def test_haar_is_orthonormal_and_inverts(factors):
    haar, x = Haar(factors), normal(3, 2, 4, 6)
    low, details = haar(x)
    assert torch.allclose(haar.inverse(low, details), x, atol=1e-14)
    squares = low.square().sum((1, 2, 3)) + details.square().sum((1, 2, 3))
    assert torch.allclose(squares, x.square().sum((1, 2, 3)))
    both = lambda v: torch.cat([part.flatten(1) for part in haar(v)], 1)  # noqa: E731
    assert float(jacobian_log_det(both, x[:1]).abs()) < 1e-12


def test_the_low_pass_is_the_mean_and_the_details_are_mallats():
    x = normal(3, 2, 4, 6)
    low, details = Haar()(x)
    assert torch.allclose(low / 2, avg_pool2d(x, 2))
    a, b, c, d = x[:, :, ::2, ::2], x[:, :, ::2, 1::2], x[:, :, 1::2, ::2], x[:, :, 1::2, 1::2]
    expected = torch.cat([a - b + c - d, a + b - c - d, a - b - c + d], 1) / 2
    assert torch.allclose(details, expected)


# -- the density ---------------------------------------------------------------------------------------------

SHAPES = [((1, 4, 4), 1), ((1, 4, 4), 2), ((3, 4, 4), 2), ((1, 8, 4), 2), ((1, 2, 1), 1), ((3, 6, 6), 1)]


@pytest.mark.parametrize(("shape", "levels"), SHAPES)
def test_round_trip_and_log_determinant(shape, levels):
    flow, x = pyramid(shape, levels), normal(2, *shape)
    z, log_det = flow(x)
    assert z.shape == (2, math.prod(shape))
    assert float((flow.inverse(z) - x).abs().max()) < 1e-10
    assert torch.allclose(log_det, jacobian_log_det(lambda v: flow(v)[0], x), atol=1e-9)


def test_the_density_is_the_sum_of_its_conditional_terms():
    """Each flow's own log p(detail | mean), and the Haar transform adds nothing."""
    flow, x = pyramid((1, 8, 8), 2), normal(3, 1, 8, 8)
    low_1, detail_1 = Haar()(x)
    low_2, detail_2 = Haar()(low_1)
    terms = [
        flow.flows[0].log_prob(detail_1, low_1 / 2),
        flow.flows[1].log_prob(detail_2, low_2 / 4),
        flow.coarsest.log_prob(low_2),
    ]
    assert torch.allclose(flow.log_prob(x), sum(terms), atol=1e-10)
    of_terms = [log_standard_normal(z) + log_det for z, log_det in flow.terms(x)]
    for found, expected in zip(of_terms, terms, strict=True):
        assert torch.allclose(found, expected, atol=1e-10)


def test_the_low_pass_changes_the_density_of_the_details():
    flow, x = pyramid((1, 4, 4), 1), normal(3, 1, 4, 4)
    (lows, details), (others, _) = flow.analyse(x), flow.analyse(x + 1)
    given = flow.flows[0].log_prob(details[0], lows[1] / 2)
    assert float((given - flow.flows[0].log_prob(details[0], others[1] / 2)).abs().max()) > 1e-3


def integral(log_prob, shape, half_width, points):
    """Of exp(log_prob) over a cube of pixel values, by the trapezoid rule, which for smooth densities that
    vanish at the edges converges faster than any power of the spacing.
    """
    axis = torch.linspace(-half_width, half_width, points, dtype=torch.float64)
    grid = torch.cartesian_prod(*[axis] * math.prod(shape)).view(-1, *shape)
    total = sum(float(log_prob(part).exp().sum()) for part in grid.split(2**16))
    return total * float(axis[1] - axis[0]) ** math.prod(shape)


@torch.no_grad()
def test_a_column_of_two_pixels_integrates_to_one():
    flow = pyramid((1, 2, 1), 1, scale=0.3)
    assert integral(flow.log_prob, (1, 2, 1), 20, 500) == pytest.approx(1, abs=1e-6)


@torch.no_grad()
def test_four_pixels_integrate_to_one():
    flow = pyramid((1, 2, 2), 1)
    fine, coarse = (integral(flow.log_prob, (1, 2, 2), 7, points) for points in (27, 23))
    assert fine == pytest.approx(1, abs=2e-3)
    assert coarse == pytest.approx(fine, abs=5e-3)


@torch.no_grad()
def test_in_data_space_it_integrates_to_one_too():
    """The scale of model space is in the density: pixels in units of [0, 1]."""
    model = WaveletFlow(levels=1, steps=1, width=4, features=2)
    model.build(Stripes((1, 2, 1)).spec(dtype=torch.float64))
    model.networks["flow"] = pyramid((1, 2, 1), 1)
    model.space.set_to(0.5 + 0.2 * normal(1000))
    assert float(model.space.scale) == pytest.approx(0.2, abs=0.02)
    shifted = lambda x: model.log_prob(x + 0.5)  # noqa: E731
    assert integral(shifted, (1, 2, 1), 5.0, 600) == pytest.approx(1, abs=1e-6)


# -- the method ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def data():
    return Stripes()


@pytest.fixture(scope="module")
def model(data):
    return fitted(WaveletFlow(**TINY), data)


@pytest.mark.parametrize("level", [2, 3])
def test_super_resolution_keeps_the_small_image(model, data, level):
    assert isinstance(model, SuperResolver)
    low = avg_pool2d(data.test.x, 2 ** (level - 1))
    low = 0.5 + 0.5 * (low - 0.5)  # away from the bounds of [0, 1]
    found = model.super_resolve(low, level, 0.3, rng=seeded())
    assert found.shape == data.test.x.shape
    assert torch.allclose(avg_pool2d(found, 2 ** (level - 1)), low, atol=0.02)
    assert torch.equal(found, model.super_resolve(low, level, 0.3, rng=seeded()))
    assert not torch.equal(found, model.super_resolve(low, level, 0.3, rng=seeded(1)))


def test_super_resolution_at_temperature_zero_has_no_chance(model, data):
    low = avg_pool2d(data.test.x, 2)
    one, other = (model.super_resolve(low, 2, 0.0, rng=seeded(seed)) for seed in (0, 1))
    assert torch.equal(one, other)


def test_bad_input_is_told(model, data):
    with pytest.raises(UserError, match="from_level = 4: between 2 and 3"):
        model.super_resolve(data.test.x, 4, 1.0, rng=seeded())
    with pytest.raises(UserError, match=r"images of level 2 have shape \(1, 4, 4\), not \(1, 8, 8\)"):
        model.super_resolve(data.test.x, 2, 1.0, rng=seeded())
    with pytest.raises(Unsupported, match="wavelet_flow: images of 6 x 6 are halved 1 times at most, not 2"):
        WaveletFlow(levels=2).build(Stripes((1, 6, 6)).spec())
    with pytest.raises(Unsupported, match="levels = 1: a flow of one channel of 3 x 3, which is not halved"):
        WaveletFlow(levels=1).build(Stripes((1, 6, 6)).spec())
    with pytest.raises(UserError, match="wavelet_flow: levels = 0: at least 1"):
        WaveletFlow(levels=0)


# -- levels --------------------------------------------------------------------------------------------------


def test_generation_by_level(model):
    """The block means of the images that the same z, with more of it, goes on to."""
    assert isinstance(model, GeneratesLevels)
    for level, size in ((1, 8), (2, 4), (3, 2)):
        images = model.generate(300, level, 1.0, rng=seeded())
        assert images.shape == (300, 1, size, size)
        assert 0 <= images.min() <= images.max() <= 1
    assert torch.equal(model.sample(3, rng=seeded()), model.generate(3, 1, 1.0, rng=seeded()))
    cold = model.generate(2, 2, 0.0, rng=seeded())
    assert torch.equal(cold[0], cold[1])
    with pytest.raises(UserError, match="wavelet_flow: level = 4: between 1 and 3"):
        model.generate(2, 4, 1.0, rng=seeded())


@pytest.mark.parametrize("level", [2, 3])
def test_a_level_is_the_low_pass_of_what_goes_on_from_it(level):
    flow, z = pyramid((1, 8, 8), 2), normal(3, 64)
    whole = flow.inverse(z)
    tail = z[:, 64 - math.prod(flow.shapes[level - 1]) :]
    assert torch.allclose(flow.inverse(tail, level), flow.analyse(whole)[0][level - 1], atol=1e-12)
