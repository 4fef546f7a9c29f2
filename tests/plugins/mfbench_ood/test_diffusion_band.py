"""Bands of Eq. 23: on N(0, I) every term is known, and the bands add up."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from mfbench_ood.band import DiffusionBand
from ood_fakes import Exact, gaussian
from protocol_fakes import fitted, seeded

import mfbench
from mfbench import UserError
from mfbench.measures import auroc
from mfbench.schedules import LinearSchedule

DATA = gaussian([1.0] * 3)
PATHS = 10_000
X = 1.5 * DATA.test.x[:50].double()


def abar(t):
    return float(LinearSchedule(100).alpha_bar(torch.tensor(t, dtype=torch.float64)))


def mean_of_paths(model, x, low, high):
    """The band's score, over many paths that go along together."""
    band = DiffusionBand(model, t_low=low, t_high=high, rounds=1, chunk=PATHS * len(x))
    return band.score(x.repeat(PATHS, 1), rng=seeded()).view(PATHS, -1).mean(0)


@pytest.mark.parametrize("step", [1.0, 2.5, 7.0])
def test_the_whole_of_time_is_the_density_pathwise(step):
    method = DiffusionBand(Exact(DATA, 100), t_low=0.0, t_high=1.0, step=step, rounds=1)
    expected = -X.square().sum(1) / 2 - 1.5 * math.log(2 * math.pi)
    assert torch.allclose(method.score(X, rng=seeded()), expected, atol=1e-10)


@pytest.mark.parametrize(("low", "high"), [(0.0, 0.2), (0.1, 0.5), (0.333, 0.9)])
def test_a_band_has_the_mean_of_the_closed_form(low, high):
    """log N(x_low) - log N(x_high) with E |x_t|^2 = abar |x|^2 + (1 - abar) D."""
    x = X[:4]
    expected = -(abar(low) - abar(high)) * (x.square().sum(1) - 3) / 2
    assert torch.allclose(mean_of_paths(Exact(DATA, 100), x, low, high), expected, atol=0.1)


def test_bands_of_a_partition_add_up_to_eq_23():
    data = gaussian([2.0, 0.3])
    model, x = Exact(data, 100), data.test.x[:8].double()
    edges = [0.0, 0.1, 0.35, 1.0]
    parts = [mean_of_paths(model, x, low, high) for low, high in pairwise(edges)]
    whole = mfbench.get("likelihood", "diffusion_markov", generator=model, rounds=PATHS)
    assert torch.allclose(sum(parts), whole.log_prob(x, rng=seeded(9)), atol=0.1)


def test_rounds_are_averaged():
    one, ten = (DiffusionBand(Exact(DATA, 100), rounds=rounds) for rounds in (1, 10))
    rng = seeded()
    rounds = torch.stack([one.score(X, rng=rng) for _ in range(10)])
    assert torch.allclose(ten.score(X, rng=seeded()), rounds.mean(0))


def test_a_band_that_is_no_multiple_of_the_step_ends_where_it_says():
    method = DiffusionBand(Exact(DATA, 100), t_low=0.1, t_high=0.155, step=2.0)
    assert [level.t for level in method._levels()] == pytest.approx([0.1, 0.12, 0.14, 0.155])


def test_seen_above_unseen():
    data = gaussian([1.0] * 20)
    method = fitted(DiffusionBand(Exact(data, 100)), data)
    scores = method.score(data.test.x, rng=seeded(1))
    assert auroc(scores, method.score(2 * data.test.x, rng=seeded(2))) > 0.9


def test_bad_input_is_told():
    wrong = [{"t_low": 0.5, "t_high": 0.5}, {"t_low": -0.1}, {"t_high": 1.1}, {"step": 0.0}, {"rounds": 0}]
    for band in wrong:
        with pytest.raises(UserError, match="diffusion_band: "):
            DiffusionBand(Exact(DATA), **band)
    with pytest.raises(UserError, match="rng = None"):
        DiffusionBand(Exact(DATA, 100)).score(X)
