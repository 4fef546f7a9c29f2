"""What a measured millisecond means."""

import math
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from mfbench import timing
from mfbench.errors import ContractError


class Calls:
    def __init__(self, seconds=0.0, first=None):
        self.count = 0
        self.seconds = seconds
        self.first = first

    def __call__(self):
        self.count += 1
        time.sleep(self.first if self.count == 1 and self.first is not None else self.seconds)


def test_median_of_a_known_duration():
    fn = Calls(0.005)
    found = timing.measure(fn, budget_s=0.2)
    assert 5.0 <= found.device_ms < 15.0
    assert found.n >= 5
    assert fn.count > found.n  # the warm-up is not counted


def test_a_slow_first_call_is_not_counted():
    found = timing.measure(Calls(0.001, first=0.05), budget_s=0.2)
    assert found.device_ms < 20


def test_a_first_call_over_the_budget_counts_alone():
    fn = Calls(0.05)
    found = timing.measure(fn, budget_s=0.02)
    assert (found.n, fn.count, found.valid) == (1, 1, True)
    assert found.device_ms >= 50
    assert math.isnan(found.device_ms_iqr)


def test_at_least_three_repeats():
    assert timing.measure(Calls(0.03), budget_s=0.04).n == timing.FEWEST_REPEATS


def test_repeats_have_an_end(monkeypatch):
    monkeypatch.setattr(timing, "MOST_REPEATS", 10)
    assert timing.measure(Calls(), budget_s=1.0).n == 10


@pytest.mark.parametrize(("times", "valid"), [([1.0, 1.0, 1.1], True), ([1.0, 1.0, 5.0, 5.0], False)])
def test_noise_makes_a_timing_invalid(times, valid):
    found = timing._summary(times, None)
    assert found.valid is valid
    assert found.device_ms == np.median(times)
    assert found.device_ms_iqr == pytest.approx(np.subtract(*np.quantile(times, (0.75, 0.25))))


@pytest.mark.skipif(not timing.reset_resident_peak(), reason="the system keeps no resident high-water mark")
def test_peak_memory_is_what_the_repeats_add():
    size, kept = 64 << 20, np.ones(256 << 20, np.uint8)
    small = timing.measure(lambda: None, budget_s=0.01).peak_memory_bytes
    large = timing.measure(lambda: np.ones(size, np.uint8), budget_s=0.05).peak_memory_bytes
    after = timing.measure(lambda: None, budget_s=0.01).peak_memory_bytes
    assert abs(large - size) < 8 << 20
    assert max(small, after) < 8 << 20 < kept.nbytes


FREED_BEFORE = """
from mfbench import timing

def blocks():
    return [bytes(30_000) for _ in range(2000)]

blocks()
print(timing.measure(blocks, budget_s=0.05).peak_memory_bytes)
"""


@pytest.mark.skipif(not timing.reset_resident_peak(), reason="the system keeps no resident high-water mark")
def test_memory_that_was_freed_before_and_is_used_again_counts():
    """Many small blocks: the C library keeps them for itself when they are freed. In a process of its own, as
    one in which other tests were has room for them already.
    """
    told = subprocess.run([sys.executable, "-c", FREED_BEFORE], capture_output=True, text=True, check=True)
    assert int(told.stdout) > 40 << 20


def test_the_clock_of_the_quality_pass_calls_nothing():
    fn = Calls()
    assert timing.QualityClock().measure(fn) is None
    assert fn.count == 0
    assert not timing.QualityClock.timing_only


def test_the_clock_of_the_timing_pass_keeps_one_timing_and_the_suites_budget():
    clock = timing.TimingClock("cpu", budget_s=0.001)
    assert clock.measure(Calls(0.002), budget_s=100.0).n == 1
    assert clock.timing is not None
    with pytest.raises(ContractError, match="second time"):
        clock.measure(Calls())


def test_synchronized_timer_is_a_clock_in_seconds():
    start = timing.synchronized_timer()
    time.sleep(0.01)
    assert 0.01 <= timing.synchronized_timer() - start < 1.0


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_events_enclose_the_work():
    x = torch.randn(4096, 4096, device="cuda")
    one = timing.measure(lambda: x @ x, "cuda", 0.2)
    four = timing.measure(lambda: x @ x @ x @ x @ x, "cuda", 0.2)
    assert 3.0 < four.device_ms / one.device_ms < 5.0
    assert one.peak_memory_bytes >= 2 * x.nbytes
