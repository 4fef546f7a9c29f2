"""Puts back what one cell may have changed for the next: torch's global settings and every global seed."""

from __future__ import annotations

import random
from contextlib import suppress
from typing import Any

import numpy as np
import torch

from mfbench.identity import derive_seed


def reset(dtype: str, threads: int, seed: int, device: str) -> torch.dtype:
    """The state in which every cell begins; returns the torch dtype called `dtype`.

    Default dtype and device, thread count, full float32 precision (TF32 off), deterministic algorithms where
    there are some, gradients on, and the global generators of torch, NumPy and `random` seeded: methods draw
    from the generator they are given, and libraries that do not are repeatable all the same.
    """
    kind: torch.dtype = getattr(torch, dtype)
    torch.set_default_dtype(kind)
    torch.set_default_device(None)
    torch.set_num_threads(threads)
    torch.set_grad_enabled(True)
    torch.set_float32_matmul_precision("highest")
    _deterministic()
    _seed(derive_seed("global", seed))
    if device.startswith("cuda"):
        torch.cuda.set_device(device)
        torch.cuda.manual_seed_all(derive_seed("global", seed))
    return kind


def settle_threads() -> None:
    """One thread between operators; it can be set once a process, before any work."""
    with suppress(RuntimeError):
        torch.set_num_interop_threads(1)


def generator(device: str, *names: Any) -> torch.Generator:
    """A generator on `device`, seeded by the documented derivation from `names`."""
    return torch.Generator(device=device).manual_seed(derive_seed(*names))


def _deterministic() -> None:
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    torch.set_deterministic_debug_mode("warn")  # use_deterministic_algorithms imports much
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def _seed(seed: int) -> None:
    torch.default_generator.manual_seed(seed)  # torch.manual_seed keeps a note for every idle accelerator
    np.random.seed(seed % 2**32)
    random.seed(seed)
