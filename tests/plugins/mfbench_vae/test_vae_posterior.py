"""q(z | x) and q(z): KL against torch.distributions, stratified weights, total correlation of a Gaussian."""

from __future__ import annotations

import math
from itertools import permutations

import pytest
import torch
from mfbench_vae.posterior import Posterior, aggregate_log_prob, stratified_log_weights, total_correlation
from torch.distributions import Normal, kl_divergence
from vae_fakes import normal, posteriors


@pytest.mark.parametrize(("mean", "std"), [(0.0, 1.0), (1.5, 0.25)])
def test_divergence_is_that_of_torch_distributions(mean, std):
    q = posteriors(50, 3)
    expected = kl_divergence(Normal(q.mean, q.log_std.exp()), Normal(torch.tensor(mean).double(), std))
    assert torch.allclose(q.divergence(mean, std), expected, rtol=1e-12, atol=1e-12)


def test_entropy_and_density_are_those_of_torch_distributions():
    q, z = posteriors(6, 2), normal(6, 2, seed=5)
    law = Normal(q.mean, q.log_std.exp())
    assert torch.allclose(q.entropy(), law.entropy(), rtol=1e-12)
    assert torch.allclose(q.pairwise_log_prob(z), law.log_prob(z[:, None]), rtol=1e-12)


def test_standard_deviations_are_held_to_a_range():
    q = Posterior.of(torch.tensor([[0.0, 0.0, -100.0, 100.0]]))
    assert torch.allclose(q.log_std, torch.tensor([[-7.0, 3.0]]))


def test_a_draw_is_mean_and_scaled_noise():
    q, noise = posteriors(5, 2), normal(5, 2, seed=9)
    assert torch.allclose(q.at(noise), q.mean + q.log_std.exp() * noise)


# -- the aggregate posterior --------------------------------------------------------------------------------


def estimates(weights, densities, own, count):
    """sum_j w_0j q(z | x_j) over all ordered batches that begin with image `own`; (batches,)."""
    size = len(weights)
    others = [image for image in range(count) if image != own]
    return torch.stack([weights[0] @ densities[[own, *rest]] for rest in permutations(others, size - 1)])


@pytest.mark.parametrize("batch", [2, 3, 4])
def test_stratified_weights_estimate_the_aggregate_without_bias(batch):
    """Exactly: the mean over every batch that holds z's own image is 1/N sum_n q(z | x_n)."""
    count, densities = 6, normal(6).exp()
    weights = stratified_log_weights(batch, count, densities).exp()
    for own in range(count):
        mean = estimates(weights, densities, own, count).mean()
        assert torch.allclose(mean, densities.mean(), rtol=1e-12)


def test_the_published_weights_are_biased():
    """1/N in the first column where the diagonal is meant: other rows weigh their own image too much."""
    count, batch, densities = 6, 3, torch.tensor([5.0, 1, 1, 1, 1, 1], dtype=torch.float64)
    weights = stratified_log_weights(batch, count, densities).exp()
    published = torch.full_like(weights, 1 / (batch - 1))
    published.view(-1)[::batch] = 1 / count
    published.view(-1)[1::batch] = (count - batch + 1) / (count * (batch - 1))
    assert weights.diagonal().tolist() == pytest.approx([1 / count] * batch)
    second = torch.stack([published[1, 1], published[1, 0], published[1, 2]])[None]
    assert estimates(second.expand(batch, -1), densities, 0, count).mean() > 1.2 * densities.mean()


@pytest.mark.parametrize(("batch", "count"), [(1, 5), (2, 5), (7, 50), (5, 5), (8, 5)])
def test_stratified_weights_sum_to_one_where_there_are_two_images_at_least(batch, count):
    weights = stratified_log_weights(batch, count, normal(1)).exp()
    expected = torch.full((batch,), 1 / count if batch == 1 else 1.0, dtype=torch.float64)
    assert torch.allclose(weights.sum(1), expected)


def gaussian_codes(count, correlation, std):
    """Posteriors whose aggregate is N(0, C), C with ones on the diagonal; draws; -1/2 log det C."""
    covariance = torch.tensor([[1.0, correlation], [correlation, 1.0]], dtype=torch.float64)  # of q(z)
    factor = torch.linalg.cholesky(covariance - std**2 * torch.eye(2, dtype=torch.float64))
    mean = normal(count, 2) @ factor.T
    q = Posterior(mean, torch.full_like(mean, std).log())
    return q, q.at(normal(count, 2, seed=1)), -math.log(1 - correlation**2) / 2


@pytest.mark.parametrize("correlation", [0.0, 0.6])
def test_total_correlation_of_a_correlated_gaussian(correlation):
    q, z, expected = gaussian_codes(1500, correlation, 0.3)
    assert abs(total_correlation(q.pairwise_log_prob(z), len(z)) - expected) < 0.03


def test_total_correlation_from_batches():
    q, z, expected = gaussian_codes(3000, 0.6, 0.3)
    found = []
    for start in range(0, 3000, 200):
        rows = slice(start, start + 200)
        part = Posterior(q.mean[rows], q.log_std[rows])
        found.append(total_correlation(part.pairwise_log_prob(z[rows]), len(z)))
    assert abs(torch.stack(found).mean() - expected) < 0.06


def test_the_marginals_of_one_dimension_are_the_joint():
    q = posteriors(20, 1)
    joint, each = aggregate_log_prob(q.pairwise_log_prob(q.mean), 100)
    assert torch.equal(joint, each[:, 0])
