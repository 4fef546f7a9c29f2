"""The default schedule: exact products, its interpolation, and noise levels there and back."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mfbench.schedules import LinearSchedule, sigma_at, time_of_sigma


def product_of(num_steps: int, k: int) -> float:
    """prod_{j<=k} (1 - beta_j) in plain Python, straight from the definition."""
    first, last = 1e-4 * 1000 / num_steps, 0.02 * 1000 / num_steps
    betas = [first + (last - first) * j / (num_steps - 1) for j in range(k)]
    return math.prod(1 - min(beta, 0.999) for beta in betas)


@pytest.mark.parametrize("num_steps", [2, 7, 20, 100, 1000])
def test_products_are_exact_at_whole_steps(num_steps):
    schedule = LinearSchedule(num_steps)
    ks = torch.arange(num_steps + 1, dtype=torch.float64)
    expected = torch.tensor([product_of(num_steps, k) for k in range(num_steps + 1)], dtype=torch.float64)
    torch.testing.assert_close(schedule.alpha_bar(ks / num_steps), expected, rtol=1e-12, atol=0)


def test_it_starts_at_one_exactly_and_ends_in_noise():
    for num_steps in (2, 20, 100, 1000):
        for dtype in (torch.float32, torch.float64):
            ends = LinearSchedule(num_steps).alpha_bar(torch.tensor([0.0, 1.0], dtype=dtype))
            assert ends.dtype == dtype
            assert ends[0] == 1
            assert 0 < ends[1] < 1e-3
    assert LinearSchedule(1000).alpha_bar(torch.tensor(1.0)).item() == pytest.approx(4.036e-5, rel=1e-3)
    assert LinearSchedule(100).alpha_bar(torch.tensor(1.0)).item() == pytest.approx(2.039e-5, rel=1e-3)


@given(st.integers(2, 300), st.lists(st.floats(0, 1), min_size=2, max_size=20, unique=True))
def test_alpha_bar_decreases(num_steps, times):
    t = torch.tensor(sorted(times), dtype=torch.float64)
    values = LinearSchedule(num_steps).log_alpha_bar(t)
    assert (values.diff() <= 0).all()
    apart = t.diff() > 1e-9
    assert (values.diff()[apart] < 0).all()


def test_log_alpha_bar_is_linear_between_steps():
    schedule = LinearSchedule(100)
    t = torch.tensor([0.37, 0.3725, 0.375, 0.38], dtype=torch.float64)
    left, quarter, half, right = schedule.alpha_bar(t).log()
    assert quarter.item() == pytest.approx((0.75 * left + 0.25 * right).item(), abs=1e-12)
    assert half.item() == pytest.approx((0.5 * left + 0.5 * right).item(), abs=1e-12)


def test_any_shape_and_float32_agrees_with_float64():
    schedule = LinearSchedule(1000)
    t = torch.rand(3, 5, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    exact = schedule.alpha_bar(t)
    assert exact.shape == t.shape
    torch.testing.assert_close(schedule.alpha_bar(t.float()).double(), exact, rtol=2e-5, atol=1e-8)


def test_times_slightly_outside_are_clamped():
    values = LinearSchedule(10).alpha_bar(torch.tensor([-1e-12, 0.0, 1.0, 1 + 1e-12], dtype=torch.float64))
    assert values[0] == values[1] == 1
    assert values[2] == values[3]


def test_betas_stay_below_one_for_few_steps():
    for num_steps in range(2, 25):
        betas = LinearSchedule(num_steps).betas
        assert betas.max() <= 0.999
        assert (betas == 0.999).any() == (num_steps <= 20)


def test_fewer_than_two_steps_are_refused():
    with pytest.raises(ValueError, match="at least 2"):
        LinearSchedule(1)


def test_it_is_differentiable_in_t():
    t = torch.tensor([0.1234, 0.77], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(LinearSchedule(50).alpha_bar, (t,))


def test_time_of_sigma_inverts_sigma_at():
    schedule = LinearSchedule(1000)
    t = torch.linspace(0, 1, 501, dtype=torch.float64)
    torch.testing.assert_close(time_of_sigma(schedule, sigma_at(schedule, t)), t, rtol=0, atol=1e-9)


def test_time_of_sigma_stops_at_both_ends():
    schedule = LinearSchedule(100)
    beyond = torch.tensor([0.0, 1e9, float(sigma_at(schedule, torch.ones((), dtype=torch.float64)))])
    assert time_of_sigma(schedule, beyond.double()).tolist()[:2] == [0.0, 1.0]


def test_importing_the_package_still_imports_no_torch():
    code = "import sys, mfbench; assert 'torch' not in sys.modules; mfbench.LinearSchedule(10)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_it_works_where_t_lives():
    t = torch.linspace(0, 1, 11, device="cuda")
    values = LinearSchedule(100).alpha_bar(t)
    assert values.device == t.device
    torch.testing.assert_close(values.cpu(), LinearSchedule(100).alpha_bar(t.cpu()))
