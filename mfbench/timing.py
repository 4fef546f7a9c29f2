"""What a measured millisecond means, on CUDA and on the CPU.

One repeat is one call of the function. On CUDA it is timed between two events recorded on the current
stream, with the device synchronised before the first and after the last, so that neither earlier work nor
work still queued is counted to the wrong side. On the CPU it is timed by `time.perf_counter_ns`. The figure
is the median over the repeats, with the inter-quartile range. Loading and compiling never count: they happen
in the warm-up.

Peak memory is, on CUDA, what the allocator held at most during the repeats; on the CPU by how much the
resident size of the process grew at most during them, on Linux only: the interpreter, the libraries and what
the method held before the call do not count.
"""

from __future__ import annotations

import ctypes
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mfbench.contracts import Timing
from mfbench.errors import ContractError

WARM_UP_SHARE = 0.1
"""Of the budget: the first call, and others until this share is spent, are not counted."""
FEWEST_REPEATS, MOST_REPEATS = 3, 10_000
NOISY = 0.25
"""A timing whose IQR exceeds this share of its median is not valid."""


def measure(fn: Callable[[], Any], device: str = "cpu", budget_s: float = 2.0) -> Timing:
    """Time `fn` on `device` ("cpu", "cuda", "cuda:1") for about `budget_s` seconds.

    Warms up, then repeats until the budget is spent (at least 3 times, at most 10,000). A first call that
    exceeds the budget by itself counts alone: n = 1, IQR NaN, and it holds whatever `fn` loaded or compiled.
    """
    ruler = _CudaRuler(device) if device.startswith("cuda") else _CpuRuler()
    ruler.reset_peak()
    begun = time.perf_counter()
    first = ruler.time(fn)
    if first > budget_s * 1e3:
        return Timing(first, float("nan"), 1, ruler.peak(), valid=True)
    while time.perf_counter() - begun < WARM_UP_SHARE * budget_s:
        ruler.time(fn)
    ruler.reset_peak()
    return _summary(_repeat(ruler, fn, budget_s), ruler.peak())


def synchronized_timer() -> float:
    """Seconds, for pytest-benchmark's `timer`: waits for CUDA where it is in use, so its work is counted."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.synchronize()
    return time.perf_counter()


class QualityClock:
    """The clock of the quality pass: measures nothing."""

    timing_only = False

    def measure(self, fn: Callable[[], Any], budget_s: float = 2.0) -> Timing | None:
        """None, without a call."""
        return None


class TimingClock:
    """The clock of the timing pass; `timing` is what it measured; the suite's budget rules."""

    timing_only = True

    def __init__(self, device: str, budget_s: float | None = None) -> None:
        self.device = device
        self.budget_s = budget_s
        self.timing: Timing | None = None

    def measure(self, fn: Callable[[], Any], budget_s: float = 2.0) -> Timing:
        """Time the protocol's workload, once an evaluation."""
        if self.timing is not None:
            raise ContractError("a protocol measures one workload: clock.measure was called a second time")
        self.timing = measure(fn, self.device, self.budget_s or budget_s)
        return self.timing


def reset_resident_peak() -> bool:
    """Start the process's resident high-water mark anew; False where the system cannot."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def resident_peak() -> int | None:
    """Largest resident size in bytes since the mark was reset (or the process began); None where unknown."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return None
    kilobytes = next((line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")), None)
    return None if kilobytes is None else int(kilobytes) * 1024


def resident() -> int:
    """Resident size of this process in bytes; Linux only (OSError elsewhere)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _give_back_freed_memory() -> None:
    """Where the C library can (glibc), so that memory freed earlier, but kept, is seen when used again."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


class _CpuRuler:
    def time(self, fn: Callable[[], Any]) -> float:
        """Milliseconds of one call."""
        start = time.perf_counter_ns()
        fn()
        return (time.perf_counter_ns() - start) / 1e6

    def reset_peak(self) -> None:
        self._before: int | None = None
        if sys.platform == "linux":
            _give_back_freed_memory()
            self._before = resident() if reset_resident_peak() else None

    def peak(self) -> int | None:
        peak = resident_peak()
        return None if peak is None or self._before is None else max(0, peak - self._before)


class _CudaRuler:
    def __init__(self, device: str) -> None:
        import torch

        self._cuda = torch.cuda
        self._event: Callable[..., Any] = torch.cuda.Event
        self._device = torch.device(device)

    def time(self, fn: Callable[[], Any]) -> float:
        """Milliseconds of one call, between events on the device's current stream."""
        with self._cuda.device(self._device):
            start, end = (self._event(enable_timing=True) for _ in range(2))
            self._cuda.synchronize()
            start.record()
            fn()
            end.record()
            self._cuda.synchronize()
        return float(start.elapsed_time(end))

    def reset_peak(self) -> None:
        self._cuda.init()  # type: ignore[no-untyped-call]
        self._cuda.reset_peak_memory_stats(self._device)

    def peak(self) -> int | None:
        return int(self._cuda.max_memory_allocated(self._device))


def _repeat(ruler: _CpuRuler | _CudaRuler, fn: Callable[[], Any], budget_s: float) -> list[float]:
    times: list[float] = []
    end = time.perf_counter() + budget_s
    while len(times) < FEWEST_REPEATS or (len(times) < MOST_REPEATS and time.perf_counter() < end):
        times.append(ruler.time(fn))
    return times


def _summary(times: list[float], peak: int | None) -> Timing:
    import numpy as np

    low, median, high = (float(q) for q in np.quantile(times, (0.25, 0.5, 0.75)))
    return Timing(median, high - low, len(times), peak, valid=high - low <= NOISY * median)
