"""Divergences against their closed forms and torch's."""

import numpy as np
import pytest
import torch

from mfbench.measures import bernoulli_kl, gaussian_total_correlation


def test_bernoulli_by_hand():
    # 1/2 log(1/2 / 1/4) + 1/2 log(1/2 / 3/4)
    assert bernoulli_kl(0.5, 0.25) == pytest.approx(0.5 * np.log(2) + 0.5 * np.log(2 / 3))
    assert bernoulli_kl(1.0, 0.2) == pytest.approx(-np.log(0.2))


def test_bernoulli_equals_torch():
    p, q = torch.rand(2, 50, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = torch.distributions.kl_divergence(
        torch.distributions.Bernoulli(p), torch.distributions.Bernoulli(q)
    )
    np.testing.assert_allclose(bernoulli_kl(p, q), expected, rtol=1e-10)


def test_bernoulli_at_its_edges():
    np.testing.assert_array_equal(bernoulli_kl([0.0, 1.0, 0.3], [0.0, 1.0, 0.3]), [0, 0, 0])
    np.testing.assert_array_equal(bernoulli_kl([0.5, 0.5, 1.0], [0.0, 1.0, 0.0]), [np.inf] * 3)
    p = np.linspace(0, 1, 101)
    assert (bernoulli_kl(p[:, None], p) >= 0).all()
    assert bernoulli_kl(p[:, None], p).shape == (101, 101)


@pytest.mark.parametrize("wrong", [-0.1, 1.1, np.nan])
def test_what_is_no_probability_is_refused(wrong):
    with pytest.raises(ValueError, match="p must be probabilities"):
        bernoulli_kl([0.5, wrong], 0.5)
    with pytest.raises(ValueError, match="q must be probabilities"):
        bernoulli_kl(0.5, [wrong])


def with_covariance(covariance, count=50, seed=0):
    """Samples whose covariance is exactly this."""
    white = np.random.default_rng(seed).standard_normal((count, len(covariance)))
    white = np.linalg.qr(white - white.mean(axis=0))[0] * np.sqrt(count - 1)
    return white @ np.linalg.cholesky(covariance).T


@pytest.mark.parametrize("rho", [0.0, 0.5, -0.9, 0.999])
def test_two_correlated_codes_by_hand(rho):
    codes = with_covariance(np.array([[1, rho], [rho, 1]]))
    assert gaussian_total_correlation(codes) == pytest.approx(-0.5 * np.log(1 - rho**2), abs=1e-10)


def test_total_correlation_is_the_divergence_from_the_product_of_the_margins():
    root = np.random.default_rng(1).standard_normal((4, 4))
    covariance = root @ root.T + np.eye(4)
    joint = torch.distributions.MultivariateNormal(
        torch.zeros(4, dtype=torch.float64), torch.tensor(covariance)
    )
    margins = torch.distributions.MultivariateNormal(
        joint.mean, torch.diag(torch.tensor(np.diag(covariance)))
    )
    expected = float(torch.distributions.kl_divergence(joint, margins))
    codes = with_covariance(covariance)
    assert gaussian_total_correlation(codes) == pytest.approx(expected)
    assert gaussian_total_correlation(1e-3 * codes * [1, 10, 100, -1] + 5) == pytest.approx(expected)


def test_a_sample_of_a_gaussian_has_about_its_total_correlation():
    rng = np.random.default_rng(2)
    codes = rng.standard_normal((20_000, 1)) + rng.standard_normal((20_000, 3))  # correlations 1/2
    expected = -0.5 * np.log(np.linalg.det(0.5 * np.eye(3) + 0.5))
    assert gaussian_total_correlation(codes) == pytest.approx(expected, abs=0.02)


def test_dependent_codes_and_dead_ones():
    codes = with_covariance(np.eye(3))
    assert gaussian_total_correlation(codes) == pytest.approx(0, abs=1e-12)
    dead = np.concatenate([codes, np.full((50, 2), 0.1)], axis=1)
    assert gaussian_total_correlation(dead) == pytest.approx(0, abs=1e-12)
    assert gaussian_total_correlation(np.zeros((50, 2))) == 0
    assert gaussian_total_correlation(np.concatenate([codes, codes[:, :1] - codes[:, 1:2]], axis=1)) == np.inf
    assert gaussian_total_correlation(codes[:3]) == np.inf
