"""What the two diffusion likelihoods owe their caller besides the right numbers (those: tests/oracles)."""

from __future__ import annotations

import math

import pytest
import torch
from diffusion_fakes import gaussian, mixture, noise, seeded
from mfbench_diffusion.divergence import exact_divergence
from mfbench_diffusion.markov import DiffusionMarkov
from mfbench_diffusion.ode import DiffusionODE

from mfbench import UserError
from mfbench.protocols.counting import CountingPredictor


@pytest.fixture(scope="module")
def predictor():
    return mixture().noise_predictor(100)


def with_predictor(likelihood, predictor):
    likelihood.predictor = predictor
    return likelihood


def test_log_weights_shape_and_reductions(predictor):
    x = noise(5, 2)
    mean, bound = (
        with_predictor(DiffusionMarkov(rounds=4, step=10, reduce=reduce), predictor)
        for reduce in ("mean", "logmeanexp")
    )
    weights = mean.log_weights(x, rounds=4, rng=seeded())
    assert weights.shape == (4, 5)
    assert torch.allclose(mean.log_prob(x, rng=seeded()), weights.mean(0))
    assert torch.allclose(bound.log_prob(x, rng=seeded()), weights.exp().mean(0).log())


def test_every_point_keeps_its_place_across_chunks(predictor):
    """Far points have low weights in every round, however the rows are cut."""
    x = noise(7, 2)
    x[3] = 6.0
    for chunk in (1, 5, 7, 1000):
        weights = with_predictor(DiffusionMarkov(step=10, chunk=chunk), predictor).log_weights(
            x, rounds=3, rng=seeded()
        )
        assert (weights.argmin(1) == 3).all()


def test_markov_carries_no_graph_and_leaves_x_alone(predictor):
    x = noise(5, 2).requires_grad_()
    before = x.detach().clone()
    log_prob = with_predictor(DiffusionMarkov(step=10), predictor).log_prob(x, rng=seeded())
    assert not log_prob.requires_grad
    assert torch.equal(x.detach(), before)


@pytest.mark.parametrize("step", [1, 7, 2.5])
def test_markov_evaluations(predictor, step):
    counter = CountingPredictor(predictor)
    with_predictor(DiffusionMarkov(rounds=3, step=step), counter).log_prob(noise(5, 2), rng=seeded())
    assert counter.rows == 5 * 3 * math.ceil(100 / step)


def test_the_same_seed_gives_the_same_weights(predictor):
    made = with_predictor(DiffusionMarkov(step=10), predictor)
    one, two = (made.log_weights(noise(5, 2), rounds=3, rng=seeded(1)) for _ in range(2))
    assert torch.equal(one, two)


def test_ode_evaluations_and_products():
    predictor = gaussian([0.5, 1.0, 2.0]).noise_predictor(100)
    for divergence, products in (("exact", 3), ("hutchinson", 2)):
        counter = CountingPredictor(predictor)
        made = with_predictor(DiffusionODE(steps=5, divergence=divergence, probes=2), counter)
        made.log_prob(noise(4, 3), rng=seeded())
        assert counter.rows == 4 * 20
        assert counter.vjp_rows == 4 * 20 * products


def test_auto_is_exact_up_to_64_dimensions():
    """The standard error says which: 0 where the divergence is exact."""
    for dim, exact in ((64, True), (65, False)):
        predictor = gaussian(torch.linspace(0.5, 2, dim), rotate=True).noise_predictor(100)
        made = with_predictor(DiffusionODE(steps=2), predictor)
        error = made.log_prob_with_error(noise(2, dim), rng=seeded())[1]
        assert (error == 0).all() == exact


@pytest.mark.parametrize("made", [DiffusionODE(divergence="hutchinson"), DiffusionMarkov()])
def test_what_draws_needs_a_generator(predictor, made):
    made = with_predictor(made, predictor)
    with pytest.raises(UserError, match="rng"):
        made.log_prob(noise(2, 2))


def test_exact_ode_needs_none_and_is_the_same_in_any_batch(predictor):
    x = noise(6, 2)
    whole, pieces = (with_predictor(DiffusionODE(steps=10, chunk=chunk), predictor) for chunk in (100, 4))
    assert torch.allclose(whole.log_prob(x), pieces.log_prob(x), atol=1e-10)
    assert torch.allclose(whole.log_prob(x)[:1], whole.log_prob(x[:1]), atol=1e-10)


def test_ode_works_inside_no_grad_and_carries_no_graph(predictor):
    x = noise(3, 2).requires_grad_()
    with torch.no_grad():
        inside = with_predictor(DiffusionODE(steps=3), predictor).log_prob(x)
    outside = with_predictor(DiffusionODE(steps=3), predictor).log_prob(x)
    assert torch.equal(inside, outside)
    assert not outside.requires_grad


def test_exact_divergence_is_the_trace_of_the_jacobian(predictor):
    x = noise(3, 2)
    at = exact_divergence(predictor, x, 0.2)
    for i in range(3):
        jacobian = torch.autograd.functional.jacobian(
            lambda row: predictor(row[None], torch.full((1,), 0.2, dtype=row.dtype))[0], x[i]
        )
        assert at.trace[i].item() == pytest.approx(jacobian.trace().item(), rel=1e-10)
    assert torch.equal(at.eps, predictor(x, torch.full((3,), 0.2, dtype=x.dtype)))
