"""Typicality against the closed form of a Gaussian's log-density."""

from __future__ import annotations

import math

import pytest
import torch
from mfbench_ood.typicality import Typicality
from ood_fakes import Fixed, OnlyRanks, gaussian
from protocol_fakes import fitted

from mfbench import Unsupported, UserError

DATA = gaussian([1.0] * 50, count=2000)


def test_it_is_minus_the_distance_to_the_mean_of_log_p():
    method = fitted(Typicality(Fixed()), DATA)
    mean = -DATA.val.x.double().square().sum(1).mean() / 2
    x = DATA.test.x.double()
    assert torch.allclose(method.score(x), -(-x.square().sum(1) / 2 - mean).abs(), atol=1e-4)
    assert method.mean == pytest.approx(-25, abs=4 * math.sqrt(25 / 500))  # E |x|^2 / 2 = D / 2


def test_the_mode_is_not_typical():
    """The origin has the highest density and lies as far from the shell as a point at sqrt(2) its radius."""
    method = fitted(Typicality(Fixed()), DATA)
    mode, shell = torch.zeros(1, 50), torch.full((1, 50), 1.0)
    assert float(method.score(mode)) == pytest.approx(method.mean, rel=1e-6)
    assert float(method.score(shell)) > -1
    assert float(method.score(mode)) < float(method.score(DATA.test.x).min())


@pytest.mark.parametrize("split", ["train", "val"])
def test_split_and_count_say_which_samples(split):
    method = fitted(Typicality(Fixed(), split=split, count=7), DATA)
    rows = getattr(DATA, split).x[:7]
    assert method.mean == pytest.approx(float(Fixed().log_prob(rows).mean()), rel=1e-6)
    with pytest.raises(UserError, match="typicality: count = 0"):
        fitted(Typicality(Fixed(), count=0), DATA)


def test_state_round_trip():
    method, copy = fitted(Typicality(Fixed()), DATA), Typicality(Fixed())
    copy.build(DATA.spec())
    copy.load_state_dict(method.state_dict())
    assert torch.equal(copy.score(DATA.test.x), method.score(DATA.test.x))


def test_what_only_ranks_has_no_typical_set():
    with pytest.raises(Unsupported, match="typicality needs log-densities; OnlyRanks only ranks"):
        Typicality(OnlyRanks()).build(DATA.spec())
