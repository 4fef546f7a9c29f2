"""Gaussians and mixtures: parameters and their errors, draws, densities against SciPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats

from mfbench.datasets.analytic import Gaussian, GaussianMixture
from mfbench.errors import UserError


def test_gaussian_has_the_covariance_that_was_asked_for():
    spectrum = [2.0, 0.5, 0.1]
    data = Gaussian(dim=3, spectrum=spectrum, rotate=True, count=40_000)
    covariance = data.basis * data.spectrum @ data.basis.T
    np.testing.assert_allclose(data.basis @ data.basis.T, np.eye(3), atol=1e-14)
    np.testing.assert_allclose(np.linalg.eigvalsh(covariance), sorted(spectrum), atol=1e-12)
    assert abs(data.basis).max() < 0.999, "rotated"
    np.testing.assert_allclose(np.cov(data.train.x.numpy().T), covariance, atol=0.05)


def test_the_basis_is_the_same_for_every_seed():
    bases = [Gaussian(dim=4, rotate=True, seed=seed).basis for seed in (0, 1)]
    np.testing.assert_array_equal(*bases)


@pytest.mark.parametrize("rotate", [False, True])
def test_gaussian_density_is_scipys(rotate):
    data = Gaussian(dim=3, spectrum=[3.0, 1.0, 0.01], rotate=rotate, count=100)
    covariance = data.basis * data.spectrum @ data.basis.T
    x = data.train.x.double() * 3
    expected = stats.multivariate_normal(np.zeros(3), covariance).logpdf(x.numpy())
    np.testing.assert_allclose(data.log_density(x).numpy(), expected, rtol=1e-11)


def test_mixture_density_is_a_sum_of_scipys():
    means, weights = [0.0, 1.0, 2.0, -1.0, 0.5, 0.5], [1.0, 2.0, 5.0]
    data = GaussianMixture(components=3, dim=2, means=means, weights=weights, scale=0.3, count=100)
    x = data.train.x.double()
    parts = [
        w / 8 * stats.multivariate_normal(m, 0.09).pdf(x.numpy())
        for m, w in zip(np.reshape(means, (3, 2)), weights)
    ]
    np.testing.assert_allclose(data.log_density(x).numpy(), np.log(sum(parts)), rtol=1e-11)


def test_mixture_components_appear_by_their_weights():
    data = GaussianMixture(components=2, dim=1, means=[-5.0, 5.0], weights=[1.0, 3.0], count=20_000)
    assert data.shape == (1,)
    assert (data.train.x > 0).double().mean().item() == pytest.approx(0.75, abs=0.02)
    assert data.train.x[data.train.x > 0].std().item() == pytest.approx(0.1, abs=0.005)


def test_the_default_mixture_lies_on_a_circle():
    data = GaussianMixture()
    np.testing.assert_allclose(np.hypot(*data.means.T), 1.0)
    np.testing.assert_allclose(data.weights, 1 / 8)
    gaps = np.diff(np.unwrap(np.arctan2(data.means[:, 1], data.means[:, 0])))
    np.testing.assert_allclose(gaps, math.pi / 4)


def test_far_points_stay_finite():
    x = torch.tensor([[1e6, -1e6]])
    for data in (Gaussian(), GaussianMixture()):
        assert data.log_density(x).isfinite().all()


@pytest.mark.parametrize(
    ("kind", "parameters", "message"),
    [
        (Gaussian, {"dim": 3, "spectrum": [1.0]}, "as many positive variances"),
        (Gaussian, {"spectrum": [1.0, 0.0]}, "as many positive variances"),
        (Gaussian, {"dim": 0}, "dim = 0"),
        (GaussianMixture, {"dim": 3}, "give `means`"),
        (GaussianMixture, {"means": [1.0, 2.0]}, "components x dim = 8 x 2"),
        (GaussianMixture, {"weights": [1.0]}, "8 positive numbers"),
        (GaussianMixture, {"components": 2, "weights": [1.0, -1.0]}, "2 positive numbers"),
        (GaussianMixture, {"scale": 0.0}, "scale = 0.0"),
        (GaussianMixture, {"components": 0}, "components = 0"),
    ],
)
def test_impossible_parameters_are_refused_in_one_line(kind, parameters, message):
    with pytest.raises(UserError, match=message):
        kind(**parameters)
