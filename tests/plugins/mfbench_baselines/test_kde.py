"""The kernel density against scikit-learn's, its bandwidth against brute force, its integral against 1."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from mfbench_baselines import kde
from mfbench_baselines.kde import KernelDensity, choose_bandwidth, leave_one_out
from protocol_fakes import Normal, fitted, seeded
from sklearn.neighbors import KernelDensity as Reference

from mfbench.errors import UserError

DATA = Normal(count=300, scale=0.7)


@pytest.mark.parametrize("dim", [1, 2, 40])
@pytest.mark.parametrize("bandwidth", [0.05, 0.5])
def test_density_is_scikit_learns(dim, bandwidth):
    data = Normal(count=200, dim=dim)
    x = torch.cat([data.test.x, 30 + data.test.x[:5]])
    method = fitted(KernelDensity(bandwidth), data)
    # one leaf: with a tree scikit-learn is off by thousands of nats in 40 dimensions
    reference = Reference(bandwidth=bandwidth, leaf_size=1000).fit(data.train.x.double().numpy())
    assert method.log_prob(x).numpy() == pytest.approx(reference.score_samples(x.double().numpy()), rel=2e-5)


def test_chunks_do_not_matter(monkeypatch):
    method = fitted(KernelDensity(0.2), DATA)
    whole = method.log_prob(DATA.test.x)
    monkeypatch.setattr(kde, "PAIRS_AT_ONCE", 700)
    assert torch.allclose(method.log_prob(DATA.test.x), whole, atol=1e-6)


def test_density_integrates_to_one():
    method = fitted(KernelDensity(0.3), DATA)
    axis = torch.linspace(-5, 5, 301)
    density = method.log_prob(torch.cartesian_prod(axis, axis)).exp()
    assert float(density.sum()) * (10 / 300) ** 2 == pytest.approx(1.0, abs=1e-4)


def test_leave_one_out_is_the_brute_force():
    x = DATA.train.x[:60].double()
    bandwidths = [0.02, 0.1, 0.5]
    found = leave_one_out(x, torch.arange(60), bandwidths)
    for h, mean in zip(bandwidths, found):
        brute = []
        for i in range(60):
            others = np.delete(x.numpy(), i, axis=0)
            brute.append(Reference(bandwidth=h).fit(others).score_samples(x[i : i + 1].numpy())[0])
        assert mean == pytest.approx(np.mean(brute), rel=1e-9)


def test_the_chosen_bandwidth_is_near_the_best_for_held_out_data():
    chosen = choose_bandwidth(DATA.train.x, seeded())
    truth = DATA.log_density(DATA.test.x).mean()

    def loss(h):
        return float(truth - fitted(KernelDensity(h), DATA).log_prob(DATA.test.x).mean())

    assert loss(chosen) < loss(chosen / 2)
    assert loss(chosen) < loss(chosen * 2)
    assert 0 < loss(chosen) < 0.1


def test_a_subset_is_left_out_of_many_points(monkeypatch):
    monkeypatch.setattr(kde, "MOST_LEFT_OUT", 100)
    few = choose_bandwidth(DATA.train.x, seeded())
    monkeypatch.undo()
    assert few == pytest.approx(choose_bandwidth(DATA.train.x, seeded()), rel=0.5)


def test_state_round_trip():
    method = fitted(KernelDensity(), DATA)
    copy = KernelDensity()
    copy.build(DATA.spec())
    copy.load_state_dict(method.state_dict())
    assert torch.equal(copy.log_prob(DATA.test.x), method.log_prob(DATA.test.x))
    assert math.isfinite(copy.h)


def test_nonsense_is_refused():
    with pytest.raises(UserError, match="bandwidth = -1"):
        KernelDensity(-1.0)
    with pytest.raises(UserError, match="at least two training points"):
        fitted(KernelDensity(), Normal(count=1))
