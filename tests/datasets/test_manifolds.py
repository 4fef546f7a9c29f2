"""Manifolds: they are where they say, of the dimension they say, drawn as they say; parameters and errors."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats

from mfbench.datasets import manifolds
from mfbench.datasets.manifolds import (
    EmbeddedGaussian,
    EmbeddedRoll,
    EmbeddedSphere,
    EmbeddedTorus,
    ManifoldUnion,
    isometry,
)
from mfbench.errors import Unsupported, UserError
from mfbench.registry import load_registry

SINGLE = (EmbeddedSphere, EmbeddedGaussian, EmbeddedTorus, EmbeddedRoll)
ALL = (*SINGLE, ManifoldUnion)


def own_coordinates(data):
    """The test points in the isometry's frame: (n, own), and what is left outside of it."""
    rotated = data.test.x.double().numpy() @ isometry(*data.shape)
    return rotated[:, : data.own], rotated[:, data.own :]


def test_the_isometry_is_one_and_depends_on_its_names_alone():
    q = isometry(9)
    np.testing.assert_allclose(q @ q.T, np.eye(9), atol=1e-14)
    np.testing.assert_array_equal(q, isometry(9))
    assert abs(q - isometry(9, 0)).max() > 0.1
    np.testing.assert_array_equal(abs(isometry(1)), [[1.0]])


@pytest.mark.parametrize("kind", SINGLE)
@pytest.mark.parametrize("dimension", [1, 3])
def test_it_takes_no_more_coordinates_than_it_says(kind, dimension):
    data = kind(dimension=dimension, ambient=12, count=400)
    inside, outside = own_coordinates(data)
    assert abs(outside).max() < 1e-6
    assert (inside.std(axis=0) > 0.1).all()
    assert data.test.x.shape == (200, 12)
    assert torch.equal(data.intrinsic_dimension(data.test.x), torch.full((200,), float(dimension)))


@pytest.mark.parametrize("kind", SINGLE)
def test_distances_are_those_of_its_own_coordinates(kind):
    """An isometry: in a space without room to spare the same points lie at the same distances."""
    wide = kind(dimension=2, ambient=20, count=40)
    tight = kind(dimension=2, ambient=wide.own, count=40)
    torch.testing.assert_close(torch.pdist(wide.train.x), torch.pdist(tight.train.x))


def test_the_sphere_is_uniform_on_the_unit_sphere():
    data = EmbeddedSphere(dimension=3, ambient=6, count=20_000)
    inside, _ = own_coordinates(data)
    np.testing.assert_allclose(np.linalg.norm(inside, axis=1), 1, atol=1e-6)
    # a coordinate on the sphere of dimension d has the law of 2 Beta(d / 2, d / 2) - 1
    for coordinate in inside.T:
        assert stats.kstest((coordinate + 1) / 2, stats.beta(1.5, 1.5).cdf).pvalue > 1e-3


def test_the_torus_is_a_circle_for_each_dimension():
    data = EmbeddedTorus(dimension=3, ambient=8, count=20_000)
    inside, _ = own_coordinates(data)
    cos, sin = inside[:, :3], inside[:, 3:]
    np.testing.assert_allclose(np.hypot(cos, sin), 1, atol=1e-6)
    for angle in np.arctan2(sin, cos).T:
        assert stats.kstest(angle, stats.uniform(-math.pi, 2 * math.pi).cdf).pvalue > 1e-3


def test_the_roll_is_uniform_by_arc_length():
    data = EmbeddedRoll(dimension=2, ambient=5, count=20_000)
    inside, _ = own_coordinates(data)
    t = 5 * np.hypot(*inside[:, :2].T)
    np.testing.assert_allclose(inside[:, :2], np.stack([t * np.cos(t), t * np.sin(t)], 1) / 5, atol=1e-5)
    edges = np.linspace(1.5 * math.pi, 4.5 * math.pi, 200_001)
    steps = np.hypot(*np.diff(edges * np.array([np.cos(edges), np.sin(edges)])))
    share = np.interp(t, edges, np.concatenate([[0], np.cumsum(steps)]) / steps.sum())
    assert stats.kstest(share, "uniform").pvalue > 1e-3
    assert stats.kstest(inside[:, 2], stats.uniform(-1, 2).cdf).pvalue > 1e-3


def test_the_union_is_made_of_its_spheres_in_equal_shares():
    data = ManifoldUnion(dimensions=[1, 2, 4], ambient=10, count=12_000)
    x = data.test.x.double()
    dimension = data.intrinsic_dimension(x)
    for k, d in enumerate(data.dimensions):
        members = x[dimension == d].numpy() - data.centres[k]
        assert len(members) == pytest.approx(2000, abs=4 * math.sqrt(6000 * 2 / 9))
        inside = members @ data.frames[k]
        np.testing.assert_allclose(np.linalg.norm(inside, axis=1), 1, atol=1e-5)
        np.testing.assert_allclose(np.linalg.norm(members, axis=1), 1, atol=1e-5)
        assert np.linalg.matrix_rank(members, tol=1e-3) == d + 1
    np.testing.assert_allclose(np.linalg.norm(np.diff(data.centres, axis=0), axis=1), 4)


def test_noise_moves_points_off_the_union_but_not_to_another_sphere():
    clean, noisy = (ManifoldUnion(count=2000, noise=noise) for noise in (0.0, 0.1))
    moved = noisy.test.x - clean.test.x
    assert moved.std().item() == pytest.approx(0.1, rel=0.05)
    assert torch.equal(clean.intrinsic_dimension(clean.test.x), noisy.intrinsic_dimension(noisy.test.x))


@pytest.mark.parametrize("kind", ALL)
def test_noise_is_in_every_ambient_direction_and_moves_nothing_else(kind):
    clean, noisy = (kind(ambient=12, count=8000, noise=noise) for noise in (0.0, 0.2))
    moved = (noisy.train.x - clean.train.x).double().numpy() @ isometry(12)
    np.testing.assert_allclose(moved.std(axis=0), 0.2, rtol=0.05)


def test_the_gaussian_with_noise_has_scipys_density():
    data = EmbeddedGaussian(dimension=2, ambient=5, noise=0.3, count=100)
    q = isometry(5)
    covariance = q[:, :2] @ q[:, :2].T + 0.09 * np.eye(5)
    x = data.train.x.double() * 2
    expected = stats.multivariate_normal(np.zeros(5), covariance).logpdf(x.numpy())
    np.testing.assert_allclose(data.log_density(x).numpy(), expected, rtol=1e-10)


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_the_gaussians_noise_predictor_is_the_gradient_of_its_diffused_density(noise):
    data = EmbeddedGaussian(dimension=2, ambient=5, noise=noise, count=100)
    predictor = data.noise_predictor(100)
    t = torch.full((50,), 0.4, dtype=torch.float64)
    abar = float(predictor.schedule.alpha_bar(t)[0])
    q = isometry(5)
    covariance = abar * (q[:, :2] @ q[:, :2].T + noise**2 * np.eye(5)) + (1 - abar) * np.eye(5)
    x = data.test.x.double()
    score = -x.numpy() @ np.linalg.inv(covariance)
    np.testing.assert_allclose(predictor(x, t).numpy(), -math.sqrt(1 - abar) * score, rtol=1e-10)


def test_a_divergence_of_the_gaussians_predictor_counts_its_dimensions():
    """As t goes to 0, tr(d eps / dx) sqrt(1 - abar) goes to the dimensions that the noise has to itself."""
    data = EmbeddedGaussian(dimension=3, ambient=8, count=100)
    predictor = data.noise_predictor(1000)
    t = torch.tensor([1e-3], dtype=torch.float64)
    jacobian = torch.func.jacrev(lambda x: predictor(x[None], t)[0])(data.test.x[0].double())
    beta = 1 - float(predictor.schedule.alpha_bar(t))
    assert torch.trace(jacobian).item() * math.sqrt(beta) == pytest.approx(5, abs=0.01)


def test_what_is_not_known_is_unsupported():
    for kind in (EmbeddedSphere, EmbeddedGaussian, EmbeddedTorus, EmbeddedRoll, ManifoldUnion):
        data = kind(count=10)
        with pytest.raises(Unsupported, match="density"):
            data.log_density(data.test.x)
        if kind not in (EmbeddedGaussian, EmbeddedSphere):
            with pytest.raises(Unsupported, match="noise predictor"):
                data.noise_predictor(100)


@pytest.mark.parametrize("kind", ALL)
def test_the_dimension_is_there_in_every_view_and_asks_for_the_right_space(kind):
    data = kind(count=40)
    view = data.to("cpu", torch.float64).without_test()
    dimension = view.intrinsic_dimension(view.train.x)
    assert (dimension.dtype, dimension.shape) == (torch.float64, (40,))
    assert torch.equal(dimension.float(), data.intrinsic_dimension(data.train.x))
    with pytest.raises(ValueError, match="lies in"):
        data.intrinsic_dimension(torch.zeros(3, 2))


@pytest.mark.parametrize("kind", ALL)
def test_splits_and_seeds_are_drawn_apart(kind):
    data, again, other = (kind(count=40, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(data.train.x, again.train.x)
    assert not torch.equal(data.train.x, other.train.x)
    assert not torch.equal(data.train.x[:20], data.test.x)


@pytest.mark.parametrize(
    ("kind", "parameters", "message"),
    [
        (EmbeddedSphere, {"dimension": 0}, "dimension = 0: at least 1"),
        (
            EmbeddedSphere,
            {"dimension": 4, "ambient": 4},
            "ambient = 4: embedded_sphere of dimension 4 needs 5",
        ),
        (EmbeddedGaussian, {"dimension": 5, "ambient": 4}, "dimension 5 needs 5"),
        (EmbeddedTorus, {"dimension": 3, "ambient": 5}, "dimension 3 needs 6"),
        (EmbeddedRoll, {"noise": -1.0}, "noise = -1.0"),
        (EmbeddedRoll, {"noise": math.nan}, "noise = nan"),
        (ManifoldUnion, {"dimensions": []}, "one or more"),
        (ManifoldUnion, {"dimensions": [2, 0]}, "each at least 1"),
        (ManifoldUnion, {"dimensions": [2, 5], "ambient": 5}, "one more than the 5"),
        (ManifoldUnion, {"count": 3}, "count = 3"),
    ],
)
def test_wrong_parameters_are_told_in_one_line(kind, parameters, message):
    with pytest.raises(UserError, match=message):
        kind(**parameters)


@pytest.mark.parametrize("kind", ALL)
def test_it_is_registered_under_its_name(kind):
    registry = load_registry()
    assert registry.load(registry.card("dataset", kind.name)) is getattr(manifolds, kind.__name__)
