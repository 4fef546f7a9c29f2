"""Steps: how many, where, and at which noise level."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mfbench_diffusion.grids import ASINH_SCALE, asinh_grid, evaluate, make_grid, step_count, t_grid

from mfbench import UserError
from mfbench.schedules import LinearSchedule, sigma_at

SCHEDULE = LinearSchedule(100)


@pytest.mark.parametrize(
    ("step", "count"),
    [(1, 100), (2.5, 40), (3, 34), (100, 1), (1000, 1), (1 / 3, 300), (0.1, 1000), (0.7, 143), (99.9, 2)],
)
def test_step_count(step, count):
    assert step_count(100, step) == count


@pytest.mark.parametrize("step", [0, -1, 1e-300, math.nan])
def test_steps_have_a_length(step):
    with pytest.raises(UserError, match="at least 1e-06"):
        step_count(100, step)


@given(st.integers(2, 1000), st.floats(0.5, 2000))
def test_t_grid(num_steps, step):
    levels = t_grid(LinearSchedule(num_steps), step)
    times = [level.t for level in levels]
    lengths = [(late - early) * num_steps for late, early in pairwise(times)]
    assert times[0] == 1
    assert times[-1] == 0
    assert lengths[:-1] == pytest.approx([step] * (len(lengths) - 1))
    assert 0 < lengths[-1] <= step * (1 + 1e-6)
    assert levels[-1].sigma == 0


def test_half_steps_of_two_and_a_half_are_not_rounded():
    assert [level.t for level in t_grid(SCHEDULE, 2.5)][1:4] == pytest.approx([0.975, 0.95, 0.925])


def test_asinh_grid():
    levels = asinh_grid(SCHEDULE, 20)
    assert len(levels) == 21
    assert (levels[0].t, levels[-1].t, levels[-1].sigma) == (1, 0, 0)
    u = torch.tensor([math.asinh(level.sigma / ASINH_SCALE) for level in levels])
    assert torch.allclose(u.diff(), u.diff().mean(), rtol=1e-5)
    times = torch.tensor([level.t for level in levels], dtype=torch.float64)
    sigmas = torch.tensor([level.sigma for level in levels], dtype=torch.float64)
    assert torch.allclose(sigma_at(SCHEDULE, times), sigmas, rtol=1e-9)


def test_both_grids_have_the_same_number_of_steps():
    assert len(make_grid(SCHEDULE, "t", 7)) == len(make_grid(SCHEDULE, "asinh", 7)) == 16


def test_level():
    level = t_grid(SCHEDULE, 30)[1]
    t = torch.tensor([level.t], dtype=torch.float64)
    assert level.alpha_bar == pytest.approx(SCHEDULE.alpha_bar(t).item(), rel=1e-12)
    assert level.scale == pytest.approx(level.alpha_bar**0.5, rel=1e-14)


def test_evaluate_gives_every_row_the_time():
    def predictor(x, t):
        assert t.shape == (len(x),)
        assert t.dtype == x.dtype
        return x * t[:, None]

    x = torch.ones(3, 2, dtype=torch.float64)
    assert torch.equal(evaluate(predictor, x, 0.3), 0.3 * x)
