"""End points that are remembered are those that would be drawn, and never another's."""

from __future__ import annotations

import pytest
import torch
from mfbench_baselines.oracles import ExactDiffusion
from mfbench_diffusion.ancestral import DDPMSampler
from mfbench_diffusion.ddim import DDIM
from mfbench_diffusion.rk4 import RungeKutta4
from protocol_fakes import Normal, fitted

from mfbench.protocols.end_points import EndPoints, Ends

START = torch.randn(5, 2, generator=torch.Generator().manual_seed(0))


def exact(**parameters):
    return fitted(ExactDiffusion(num_steps=100), Normal(count=10, **parameters))


class Drawn:
    """Counts its draws, and gives another tensor each time."""

    def __init__(self):
        self.times = 0

    def __call__(self):
        self.times += 1
        return Ends(torch.full((5, 2), float(self.times)), self.times)


@pytest.fixture
def recall():
    """(sampler, generator, start, step) -> whether it was remembered."""
    memory, draw = EndPoints(at_most=3), Drawn()

    def ask(sampler, generator, start=START, step=1.0):
        before = draw.times
        memory.recall(sampler, generator, start, step, draw)
        return draw.times == before

    return ask


def test_the_same_is_remembered(recall):
    assert not recall(DDIM(), exact())
    assert recall(DDIM(), exact())  # another object that says the same


@pytest.mark.parametrize(
    "other",
    [
        {"sampler": RungeKutta4()},
        {"sampler": DDIM("asinh")},
        {"generator": exact(shift=1.0)},
        {"start": START + 1},
        {"start": START.double()},
        {"step": 2.0},
    ],
    ids=["sampler", "parameters", "model", "start", "dtype", "step"],
)
def test_whatever_differs_is_drawn(recall, other):
    asked = {"sampler": DDIM(), "generator": exact(), "start": START, "step": 1.0}
    assert not recall(**asked)
    assert not recall(**asked | other)
    assert recall(**asked)


def test_noise_and_parameters_that_are_no_plain_values_are_not_remembered(recall):
    sampler = DDIM()
    sampler.table = torch.zeros(3)
    for one in (DDPMSampler(), sampler):
        assert not recall(one, exact())
        assert not recall(one, exact())


def test_the_oldest_is_forgotten(recall):
    for step in (1.0, 2.0, 3.0, 4.0):
        assert not recall(DDIM(), exact(), step=step)
    assert recall(DDIM(), exact(), step=2.0)
    assert not recall(DDIM(), exact(), step=1.0)


def test_large_ones_are_not_kept():
    memory, draw = EndPoints(largest=9), Drawn()
    for _ in range(2):
        memory.recall(DDIM(), exact(), START, 1.0, draw)
    assert draw.times == 2


def test_what_is_given_away_can_be_written_to():
    memory, draw = EndPoints(), Drawn()
    for _ in range(2):
        memory.recall(DDIM(), exact(), START, 1.0, draw).points.zero_()
    again = memory.recall(DDIM(), exact(), START, 1.0, draw)
    assert torch.equal(again.points, torch.ones(5, 2))
    assert again.rows == 1


def test_all_together_are_kept_within_bounds():
    memory, draw = EndPoints(largest=25), Drawn()
    for step in (1.0, 2.0, 3.0):  # 10 numbers each
        memory.recall(DDIM(), exact(), START, step, draw)
    memory.recall(DDIM(), exact(), START, 2.0, draw)
    assert draw.times == 3
    memory.recall(DDIM(), exact(), START, 1.0, draw)
    assert draw.times == 4
