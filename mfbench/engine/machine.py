"""The name of the machine that a timing belongs to: its processor and, on CUDA, its device."""

from __future__ import annotations

import os
import platform
from functools import lru_cache
from pathlib import Path


@lru_cache
def machine_name(device: str = "cpu") -> str:
    """ "Intel Xeon Platinum 8488C, 2 CPUs" or, for "cuda:0", "NVIDIA H200 (Intel ..., 16 CPUs)"."""
    host = f"{cpu_model()}, {cpu_count()} CPUs"
    if not device.startswith("cuda"):
        return host
    import torch

    return f"{torch.cuda.get_device_name(device)} ({host})"


def cpu_count() -> int:
    """The CPUs this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@lru_cache
def cpu_model() -> str:
    """The processor's name as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    models = (line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "Model")))
    return next(models, platform.processor() or platform.machine())
