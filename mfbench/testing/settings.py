"""torch's settings of the whole process: a method that changes one changes what every other computes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

SETTINGS: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    "default dtype": (torch.get_default_dtype, torch.set_default_dtype),
    "default device": (
        torch.get_default_device,
        lambda value: torch.set_default_device(None if value.type == "cpu" else value),
    ),
    "number of threads": (torch.get_num_threads, torch.set_num_threads),
    "grad mode": (torch.is_grad_enabled, torch.set_grad_enabled),
    "anomaly detection": (torch.is_anomaly_enabled, torch.set_anomaly_enabled),
    "deterministic algorithms": (torch.get_deterministic_debug_mode, torch.set_deterministic_debug_mode),
    "float32 matmul precision": (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
    "cudnn.deterministic": (
        lambda: torch.backends.cudnn.deterministic,
        lambda value: setattr(torch.backends.cudnn, "deterministic", value),
    ),
    "cudnn.benchmark": (
        lambda: torch.backends.cudnn.benchmark,
        lambda value: setattr(torch.backends.cudnn, "benchmark", value),
    ),
    "cudnn.allow_tf32": (
        lambda: torch.backends.cudnn.allow_tf32,
        lambda value: setattr(torch.backends.cudnn, "allow_tf32", value),
    ),
    "NumPy's error handling": (np.geterr, lambda value: np.seterr(**value)),
}
"""How each is read and set, by the name that a message gives it."""


@contextmanager
def settings_kept() -> Iterator[dict[str, str]]:
    """Whatever changes within is put back at the end, and then in what is given: {NAME: "from A to B"}."""
    changed: dict[str, str] = {}
    before = {name: read() for name, (read, _) in SETTINGS.items()}
    try:
        yield changed
    finally:
        for name, (read, put_back) in SETTINGS.items():
            if (now := read()) != before[name]:
                changed[name] = f"from {before[name]} to {now}"
                put_back(before[name])
