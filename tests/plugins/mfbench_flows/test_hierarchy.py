"""The hierarchy's densities: latents against the flows, Jacobians against autograd, and quadrature on the
surface of the decoders' images.
"""

from __future__ import annotations

import math

import pytest
import torch
from flow_fakes import jacobian_log_det, normal, perturbed
from mfbench_flows.hierarchy import Hierarchy
from mfbench_flows.hierarchy_densities import log_codes, log_px_exact, log_px_paper, log_py, log_pz
from mfbench_flows.jacobians import by_columns, by_rows, log_volume
from mfbench_flows.step import log_standard_normal
from torch.distributions import MultivariateNormal
from torch.nn.functional import avg_pool2d

from mfbench import Unsupported

SMALL = {"code_halvings": 1, "width": 6, "steps": [2], "flow_width": 6, "features": 4}


def hierarchy(shape, levels, code_factor=1, seed=0, scale=0.2, **changed):
    options = {**SMALL, "levels": levels, "code_factor": code_factor, **changed}
    return perturbed(lambda: Hierarchy(shape, **options), seed=seed, scale=scale)


# -- the cascade ---------------------------------------------------------------------------------------------

CASES = [((1, 8, 8), 3, 2), ((3, 8, 4), 2, 1), ((1, 2, 2), 2, 1), ((2, 4, 4), 1, 2)]


@pytest.mark.parametrize(("shape", "levels", "code_factor"), CASES)
def test_codes_images_and_latents_have_their_shapes(shape, levels, code_factor):
    model, x = hierarchy(shape, levels, code_factor), normal(3, *shape)
    codes, images = model.encode(x), model.decode(model.encode(x))
    assert len(codes) == len(images) == levels
    for i, (code, image) in enumerate(zip(codes, images), 1):
        assert image.shape == model.at_level(x, i).shape
        assert code.shape[1:] == model.code_shapes[i - 1]
        assert code[0].numel() == model.code_size(i)
    assert model.code_shapes[0] == (code_factor * shape[0], max(1, shape[1] // 2), max(1, shape[2] // 2))


def test_levels_are_means_of_blocks():
    model, x = hierarchy((1, 8, 8), 3), normal(3, 1, 8, 8)
    assert torch.equal(model.at_level(x, 1), x)
    assert torch.allclose(model.at_level(x, 3), avg_pool2d(avg_pool2d(x, 2), 2))


@pytest.mark.parametrize(("shape", "levels", "code_factor"), CASES)
def test_generation_inverts_the_latents(shape, levels, code_factor):
    model, x = hierarchy(shape, levels, code_factor), normal(3, *shape)
    codes = model.encode(x)
    latents = [z for z, _ in model.latents(codes)]
    assert float((model.generate(latents) - model.decode(codes)[0]).abs().max()) < 1e-10
    if levels > 1:
        low = model.decode(codes)[1]
        assert float((model.generate(latents[:1], 1, low) - model.decode(codes)[0]).abs().max()) < 1e-10
        coarse = model.generate(latents[1:], 2)
        assert float((coarse - low).abs().max()) < 1e-10


def test_coarser_codes_reach_the_finer_images_and_latents():
    model, x = hierarchy((1, 8, 8), 2), normal(3, 1, 8, 8)
    codes = model.encode(x)
    other = [codes[0], codes[1] + 1]
    assert float((model.decode(codes)[0] - model.decode(other)[0]).abs().max()) > 1e-2
    (z, log_det), (changed, changed_log_det) = (next(model.latents(each)) for each in (codes, other))
    assert float((z - changed).abs().max()) > 1e-4
    assert float((log_det - changed_log_det).abs().max()) > 1e-4


def test_the_coarse_levels_do_not_see_the_finer_codes():
    model, x = hierarchy((1, 8, 8), 2), normal(3, 1, 8, 8)
    codes = model.encode(x)
    assert torch.equal(model.decode([codes[0] + 1, codes[1]])[1], model.decode(codes)[1])


def test_one_pixel_is_its_own_code_and_sizes_that_do_not_halve_are_told():
    assert hierarchy((1, 2, 2), 2).code_shapes == [(1, 1, 1), (1, 1, 1)]
    for shape, levels, changed, text in (
        ((1, 6, 6), 3, {}, "levels = 3: images of 6 x 6 are halved 1 times at most, not 2"),
        ((1, 6, 6), 2, {}, "the codes: images of 3 x 3 are halved 0 times at most, not 1"),
        ((1, 4, 4), 1, {"code_halvings": 3}, None),
        ((1, 6, 6), 1, {}, "the codes: a flow of one channel of 3 x 3, which is not halved"),
    ):
        if text is None:
            assert hierarchy(shape, levels, **changed).code_shapes == [(1, 1, 1)]
            continue
        with pytest.raises(Unsupported, match=text):
            hierarchy(shape, levels, **changed)


# -- Jacobians -----------------------------------------------------------------------------------------------


def test_jacobians_and_volumes_are_autograds():
    A = normal(7, 3)
    wide = lambda x: torch.sin(x @ A.T)  # noqa: E731
    x = normal(20, 3, seed=1)
    expected = torch.stack([torch.autograd.functional.jacobian(wide, row) for row in x])
    assert torch.allclose(by_columns(wide, x), expected)
    assert torch.allclose(by_rows(wide, x), expected)
    gram = torch.linalg.slogdet(expected.mT @ expected).logabsdet / 2
    assert torch.allclose(log_volume(expected), gram)
    assert torch.equal(log_volume(torch.zeros(2, 4, 2)), torch.full((2,), -math.inf))


@pytest.mark.parametrize("level", [1, 2])
def test_the_terms_of_a_level(level):
    model, x = hierarchy((1, 8, 8), 2), normal(2, 1, 8, 8)
    codes = model.encode(x)
    lows = [*model.decode(codes)[1:], None]
    code, low = codes[level - 1], lows[level - 1]
    z, _ = model.flow(level)(code, low)
    assert torch.allclose(log_pz(model, x, level), log_standard_normal(z))
    terms = []
    for i in range(2):
        given = None if low is None else low[i : i + 1]
        determinant = jacobian_log_det(lambda y, c=given: model.flow(level)(y, c)[0], code[i : i + 1])
        terms.append(log_standard_normal(z[i : i + 1]) + determinant)
    assert torch.allclose(log_py(model, x, level), torch.cat(terms), atol=1e-9)


def test_the_codes_of_all_levels_have_one_jacobian():
    """log p of all codes against autograd through (y_1, y_2) -> (z_1, z_2): block triangular."""
    model, x = hierarchy((1, 4, 4), 2), normal(2, 1, 4, 4)
    codes = model.encode(x)
    shapes, counts = model.code_shapes, [model.code_size(1), model.code_size(2)]

    def to_latents(flat):
        parts = [part.view(-1, *shape) for part, shape in zip(flat.split(counts, 1), shapes)]
        return torch.cat([z for z, _ in model.latents(parts)], 1)

    flat = torch.cat([code.flatten(1) for code in codes], 1)
    expected = log_standard_normal(to_latents(flat)) + jacobian_log_det(to_latents, flat)
    assert torch.allclose(log_codes(model, codes), expected, atol=1e-9)


@pytest.mark.parametrize("level", [1, 2])
def test_the_paper_adds_the_volumes_of_the_encoders(level):
    model, x = hierarchy((1, 8, 8), 2), normal(2, 1, 8, 8)
    expected = log_codes(model, model.encode(x, level), level)
    for i in range(level, 3):
        encoder, x_i = model.autoencoders[i - 1].encoder, model.at_level(x, i)
        for row in range(2):
            J = torch.autograd.functional.jacobian(lambda v, f=encoder: f(v[None]).flatten(), x_i[row])
            J = J.flatten(1)
            expected[row] += torch.linalg.slogdet(J @ J.T).logabsdet / 2
    assert torch.allclose(log_px_paper(model, x, level), expected, atol=1e-9)


# -- the exact density, by the measure of the surface --------------------------------------------------------


def surface(model, latents, level=1):
    """The images of a grid of latents, (n, pixels), and their log-densities."""
    codes, low = [], None
    for i in range(model.levels, level - 1, -1):
        code = model.flow(i).inverse(latents[i - level], low)
        low = model.decode_level(i, code, low)
        codes.insert(0, code)
    return low.flatten(1), log_px_exact(model, codes, level)


def length_weighted(points, density):
    """The integral along a polyline, by its chords."""
    chords = (points[1:] - points[:-1]).norm(dim=1)
    return float((chords * (density[1:] + density[:-1]) / 2).sum())


def area_weighted(points, density, side):
    """The integral over a surface, by the triangles between the points of a (side, side) grid."""
    p, q = points.view(side, side, -1), density.view(side, side)
    total = 0.0
    for a, b, c in (
        (
            (slice(None, -1), slice(None, -1)),
            (slice(1, None), slice(None, -1)),
            (slice(None, -1), slice(1, None)),
        ),
        (
            (slice(1, None), slice(1, None)),
            (slice(1, None), slice(None, -1)),
            (slice(None, -1), slice(1, None)),
        ),
    ):
        u, v = p[b] - p[a], p[c] - p[a]
        gram = u.square().sum(2) * v.square().sum(2) - (u * v).sum(2).square()
        total += float((gram.clamp(min=0).sqrt() / 2 * (q[a] + q[b] + q[c]) / 3).sum())
    return total


@torch.no_grad()
@pytest.mark.parametrize("seed", [0, 1])
def test_on_a_curve_it_integrates_to_one(seed):
    """One latent, four pixels: by the length of chords, which knows nothing of Jacobians."""
    model = hierarchy((1, 2, 2), 1, seed=seed, scale=0.5)
    z = torch.linspace(-7, 7, 2001, dtype=torch.float64)[:, None]
    points, log_density = surface(model, [z])
    assert float(points.std(0).max()) > 0.01
    assert length_weighted(points, log_density.exp()) == pytest.approx(1, abs=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("seed", [5, 7])
def test_on_a_surface_of_two_levels_it_integrates_to_one(seed):
    """Two levels with a latent each, the finer conditional on the coarser: by the area of triangles.

    With these seeds the cascade is nowhere nearly flat, so that a grid over everything sees all of it; the
    error falls with the square of the grid's step (5e-3 and 8e-3 at this one, 1.2e-3 and 1.9e-3 at half).
    """
    model, side = hierarchy((1, 2, 2), 2, seed=seed, scale=0.5), 121
    axis = torch.linspace(-6, 6, side, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis)
    points, log_density = surface(model, [grid[:, :1], grid[:, 1:]])
    assert float(log_density.exp().max()) < 3
    assert area_weighted(points, log_density.exp(), side) == pytest.approx(1, abs=1e-2)


@torch.no_grad()
def test_where_the_surface_is_nearly_flat_its_density_is_high_and_right():
    """Around a peak of the density (above 900), against the probability of the latents' square: each z is
    standard normal.
    """
    model, side, half = hierarchy((1, 2, 2), 2, seed=11, scale=0.5), 41, 0.3
    offsets = torch.linspace(-half, half, side, dtype=torch.float64)
    grid = torch.cartesian_prod(offsets, -2.1 + offsets)
    points, log_density = surface(model, [grid[:, :1], grid[:, 1:]])
    normal_law = torch.distributions.Normal(0.0, 1.0)
    sides = [
        normal_law.cdf(torch.tensor(c + half)) - normal_law.cdf(torch.tensor(c - half)) for c in (0.0, -2.1)
    ]
    assert float(log_density.exp().max()) > 900
    assert area_weighted(points, log_density.exp(), side) == pytest.approx(
        math.prod(map(float, sides)), rel=1e-3
    )


@torch.no_grad()
def test_at_the_coarser_level_it_integrates_to_one_too():
    model = hierarchy((1, 4, 4), 2, code_halvings=2, scale=0.5)
    z = torch.linspace(-7, 7, 2001, dtype=torch.float64)[:, None]
    points, log_density = surface(model, [z], level=2)
    assert points.shape == (2001, 4)
    assert length_weighted(points, log_density.exp()) == pytest.approx(1, abs=1e-4)


@torch.no_grad()
def test_the_paper_s_chain_is_not_a_density():
    """On the same curve, with the encoder's volume in place of the decoder's: no integral of one."""
    model = hierarchy((1, 2, 2), 1, seed=1, scale=0.5)
    z = torch.linspace(-7, 7, 2001, dtype=torch.float64)[:, None]
    points, _ = surface(model, [z])
    density = log_px_paper(model, points.view(-1, 1, 2, 2), 1).exp()
    assert abs(length_weighted(points, density) - 1) > 0.1


@torch.no_grad()
def test_a_linear_decoder_gives_the_normal_on_a_plane():
    """x_hat = B y + b with y normal: log N(y) - 1/2 log det(B^T B), and, where the encoder is B's inverse,
    the exact log-density of x itself.
    """
    model = hierarchy((1, 2, 2), 1, code_factor=2, steps=[1])
    for key, value in model.flows.named_parameters():
        if ".network." in key and "readers" not in key:
            value.zero_()
    B, b = normal(4, 2, seed=3), normal(4, seed=4)
    left = torch.linalg.pinv(B)
    autoencoder = model.autoencoders[0]
    autoencoder.decoder.forward = lambda y, condition: (y.flatten(1) @ B.T + b).view(-1, 1, 2, 2)
    autoencoder.encoder.forward = lambda x: ((x.flatten(1) - b) @ left.T).view(-1, 2, 1, 1)
    y = normal(5, 2, seed=5)
    x = (y @ B.T + b).view(-1, 1, 2, 2)
    shift = model.flow(1)(torch.zeros(1, 2, 1, 1, dtype=y.dtype))[0][0]
    A = (model.flow(1)(torch.eye(2, dtype=y.dtype).view(2, 2, 1, 1))[0] - shift).T
    law = MultivariateNormal(torch.linalg.solve(A, -shift), precision_matrix=A.T @ A)
    expected = law.log_prob(y) - torch.linalg.slogdet(B.T @ B).logabsdet / 2
    assert torch.allclose(log_px_exact(model, model.encode(x)), expected, atol=1e-9)
