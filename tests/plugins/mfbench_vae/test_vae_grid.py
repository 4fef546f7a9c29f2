"""The grid prior: density, rounding, and the KL of q to it between 0 and that to the nearest centre."""

from __future__ import annotations

import math
from itertools import product

import pytest
import torch
from mfbench_vae.grid import Grid
from mfbench_vae.posterior import Posterior
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal, kl_divergence
from vae_fakes import normal, posteriors

AXES = [[-1.0, 0.0, 2.0], [0.0, 1.0]]


def grid(std=0.4):
    return Grid(AXES, std).double()


def test_log_prob_is_that_of_the_whole_mixture():
    centres = torch.tensor(list(product(*AXES))).double()
    parts = Independent(Normal(centres, 0.4), 1)
    mixture = MixtureSameFamily(Categorical(torch.ones(len(centres)).double()), parts)
    z = 2 * normal(200, 2)
    assert torch.allclose(grid().log_prob(z).sum(1), mixture.log_prob(z), rtol=1e-10)
    assert grid().log_count == pytest.approx(math.log(len(centres)))


def exact_divergence(prior, q):
    """KL(q || p) by dimension, by quadrature over 12 standard deviations of q."""
    nodes = torch.linspace(-12, 12, 4001, dtype=torch.float64)
    weights = Normal(0.0, 1.0).log_prob(nodes).exp() * (nodes[1] - nodes[0])
    logs = torch.stack([prior.log_prob(q.at(node)) for node in nodes], dim=-1)
    return -q.entropy() - logs @ weights


def test_divergence_lies_between_zero_and_the_nearest_centres_plus_log_k():
    q, prior = posteriors(200, 2), grid()
    exact = exact_divergence(prior, q)
    assert exact.min() >= 0
    assert (exact.sum(1) <= prior.nearest_divergence(q).sum(1) + prior.log_count + 1e-9).all()


def test_the_bound_is_reached_at_a_narrow_centre():
    """Centres far apart: log p = log N - log K near a centre, and KL = nearest KL + log K."""
    prior = grid(std=0.01)
    q = Posterior(torch.tensor([[2.0, 1.0]]).double(), torch.full((1, 2), 0.01).double().log())
    assert torch.allclose(exact_divergence(prior, q).sum(), torch.tensor(prior.log_count).double(), atol=1e-6)
    assert torch.allclose(prior.nearest_divergence(q), torch.zeros(1, 2).double(), atol=1e-12)


def test_draws_estimate_the_divergence():
    q, prior = posteriors(1, 2), grid()
    many = Posterior(q.mean.expand(40_000, 2), q.log_std.expand(40_000, 2))
    drawn = prior.divergence(many, many.at(normal(40_000, 2, seed=3)))
    error = 4 * drawn.std(0) / 200
    assert ((drawn.mean(0) - exact_divergence(prior, q)[0]).abs() < error).all()


def test_nearest_divergence_is_that_of_torch_distributions():
    q, prior = posteriors(50, 2), grid()
    expected = kl_divergence(Normal(q.mean, q.log_std.exp()), Normal(prior.round(q.mean), 0.4))
    assert torch.allclose(prior.nearest_divergence(q), expected, rtol=1e-10)


# -- rounding -----------------------------------------------------------------------------------------------


def test_rounding_is_to_the_nearest_centre_and_held_to_the_grid():
    z = torch.tensor([[-9.0, 9.0], [0.9, 0.4], [1.1, 0.6], [9.0, -9.0]]).double()
    assert grid().index(z).tolist() == [[0, 1], [1, 0], [2, 1], [2, 0]]
    assert grid().round(z).tolist() == [[-1.0, 1.0], [0.0, 0.0], [2.0, 1.0], [2.0, 0.0]]


def test_a_shorter_axis_has_no_further_symbols():
    """What fills it up is never the nearest, also far beyond its end."""
    assert grid().index(torch.full((1, 2), 100.0).double()).tolist() == [[2, 1]]


def test_no_gradient_passes_the_rounding():
    q = posteriors(30, 2)
    mean = q.mean.clone().requires_grad_()
    assert not grid().round(mean).requires_grad
    divergence = grid().nearest_divergence(Posterior(mean, q.log_std))
    (gradient,) = torch.autograd.grad(divergence.sum(), mean)
    assert torch.allclose(gradient, (mean - grid().round(mean)) / 0.4**2)


def test_attributes_stand_in_the_place_of_the_rounding_where_they_are_given():
    q = posteriors(4, 2)
    told = torch.tensor([[2.0, torch.nan], [-1.0, torch.nan], [0.0, 1.0], [torch.nan, torch.nan]]).double()
    found = grid().nearest_divergence(q, told)
    nearest = grid().nearest_divergence(q)
    given = ~told.isnan()
    assert torch.allclose(found[given], q.divergence(told, 0.4)[given])
    assert torch.equal(found[~given], nearest[~given])
    assert (found[given] >= nearest[given]).all()


def test_moments_of_the_axes():
    mean, std = grid().moments()
    assert torch.allclose(mean, torch.tensor([1 / 3, 0.5]).double())
    assert torch.allclose(std, torch.tensor([(14 / 9) ** 0.5, 0.5]).double())
    assert Grid([[7.0]], 0.3).moments()[1].tolist() == pytest.approx([0.3])


def test_axes_may_differ_in_their_spread():
    several = Grid([[0.0, 1.0], [0.0]], [0.25, 1.0]).double()
    z = normal(6, 2)
    found = several.log_prob(z)
    for axis, (centres, std) in enumerate((([0.0, 1.0], 0.25), ([0.0], 1.0))):
        assert torch.allclose(
            found[:, axis], Grid([centres], std).double().log_prob(z[:, axis : axis + 1])[:, 0]
        )
    assert several.moments()[1].tolist() == [0.5, 1.0]


def test_around_a_single_centre_the_mean_is_the_first_output_in_its_spread():
    logits = normal(4, 2, 2)
    assert torch.equal(
        Grid([[0.0, 1.0], [3.0]], [0.1, 0.5]).double().expected(logits)[:, 1], 3 + 0.5 * logits[:, 0, 1]
    )


# -- the centres' head --------------------------------------------------------------------------------------


def test_means_are_centres_weighed_by_a_softmax():
    logits = normal(5, 3, 2)
    found = grid().expected(logits)
    first = logits[:, :, 0].softmax(1) @ torch.tensor(AXES[0]).double()
    assert torch.allclose(found[:, 0], first, rtol=1e-10)


def test_sure_logits_give_a_centre():
    logits = torch.zeros(1, 3, 2).double()
    logits[0, 2, 0] = 500.0
    assert grid().expected(logits)[0, 0] == AXES[0][2]


def test_between_two_centres_the_mean_is_the_line_that_the_sigmoid_begins_as():
    low, high = AXES[1]
    logits = torch.zeros(3, 3, 2).double()
    logits[:, 1, 1] = torch.tensor([0.0, 1e-4, 8.0])
    middle, near, far = grid().expected(logits)[:, 1].tolist()
    assert middle == (low + high) / 2
    assert near == pytest.approx(low + (high - low) / (1 + math.exp(-1e-4)), abs=1e-12)
    assert far == pytest.approx(middle + 2 * (high - low))  # it does not saturate: a gradient leads back
