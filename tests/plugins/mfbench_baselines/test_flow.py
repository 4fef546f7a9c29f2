"""The spline flow: an exact density that learns, samples by the bench's generator, and is saved."""

from __future__ import annotations

import math

import pytest
import torch
from mfbench_baselines.flow import FlowLikelihood, SplineFlow
from protocol_fakes import Normal, fitted, seeded

DATA = Normal(shift=1.0, scale=0.5, count=1000)


@pytest.fixture(scope="module")
def flow():
    return fitted(SplineFlow(iterations=150, width=32), DATA)


def test_density_approaches_the_truth_and_integrates_to_one(flow):
    likelihood = FlowLikelihood(flow)
    error = likelihood.log_prob(DATA.test.x) - DATA.log_density(DATA.test.x)
    assert float(error.square().mean().sqrt()) < 0.35
    axis = torch.linspace(-4, 6, 301)
    density = likelihood.log_prob(torch.cartesian_prod(axis, axis)).exp()
    assert float(density.sum()) * (10 / 300) ** 2 == pytest.approx(1.0, abs=0.01)


def test_samples_follow_the_density_and_the_given_generator(flow):
    before = torch.get_rng_state()
    samples = flow.sample(4000, rng=seeded(1))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(samples, flow.sample(4000, rng=seeded(1)))
    assert torch.allclose(samples.mean(0), DATA.mean, atol=0.08)
    entropy = 1 + math.log(2 * math.pi * 0.25)
    assert float(FlowLikelihood(flow).log_prob(samples).mean()) == pytest.approx(-entropy, abs=0.2)


def test_the_same_seed_gives_the_same_flow():
    one, two, other = (fitted(SplineFlow(iterations=2), DATA, seed) for seed in (0, 0, 1))
    x = DATA.test.x[:10]
    assert torch.equal(one.log_prob(x), two.log_prob(x))
    assert not torch.equal(one.log_prob(x), other.log_prob(x))


def test_state_round_trip(flow):
    copy = SplineFlow(width=32)
    copy.build(DATA.spec())
    copy.load_state_dict(flow.state_dict())
    x = DATA.test.x[:50]
    assert torch.equal(copy.log_prob(x), flow.log_prob(x))


def test_a_fit_reports_its_progress():
    seen = []
    method = SplineFlow(iterations=3)
    method.build(DATA.spec())
    method.fit(DATA, rng=seeded(), progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]
