"""Which device a run computes on, when it is asked for by name."""

from __future__ import annotations

import re

from mfbench.engine.provenance import gpus
from mfbench.errors import UserError

_DEVICE = re.compile(r"auto|cpu|cuda(:\d{1,3})?")

_IN_THIS_MACHINE = ("local", "inline")
"""Executors whose tasks see this machine's devices; the workers of others may have devices of their own."""


def choose_device(asked: str, executor: str = "local") -> str:
    """ "cpu", "cuda" or "cuda:N" as asked; "auto" is "cuda" where torch can use a device, else "cpu".

    torch is imported only on a machine that has an NVIDIA device, or where CUDA is asked for by name.
    UserError for any other name, and for a device that is not here while `executor` computes here.
    """
    if not _DEVICE.fullmatch(asked):
        raise UserError(f"--device {asked}: it is 'auto', 'cpu', 'cuda' or 'cuda:N'")
    if asked == "auto":
        return "cuda" if gpus() and _cuda_count() else "cpu"
    if asked != "cpu" and executor in _IN_THIS_MACHINE:
        _require_cuda(asked)
    return asked


def _require_cuda(asked: str) -> None:
    """UserError where torch can use no CUDA device, or none of the index asked for."""
    count = _cuda_count()
    if not count:
        raise UserError(
            f"--device {asked}: this machine has no CUDA device that torch can use; use --device cpu"
        )
    index = int(asked.partition(":")[2] or 0)
    if index >= count:
        there = "cuda:0 alone" if count == 1 else f"cuda:0 to cuda:{count - 1}"
        raise UserError(f"--device {asked}: there is no such device; this machine has {there}")


def _cuda_count() -> int:
    """How many CUDA devices torch can use."""
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def device_type(device: str) -> str:
    """What enters identities: "cpu" or "cuda"."""
    return device.partition(":")[0]
