"""Which device a run computes on, when it is asked for by name."""

from __future__ import annotations

import re

from mfbench.engine.provenance import gpus
from mfbench.errors import UserError

_DEVICE = re.compile(r"auto|cpu|cuda(:\d{1,3})?")


def choose_device(asked: str) -> str:
    """ "cpu", "cuda" or "cuda:N" as asked; "auto" is "cuda" where torch can use a device, else "cpu".

    torch is imported only on a machine that has an NVIDIA device. UserError for any other name.
    """
    if not _DEVICE.fullmatch(asked):
        raise UserError(f"--device {asked}: it is 'auto', 'cpu', 'cuda' or 'cuda:N'")
    if asked != "auto":
        return asked
    if not gpus():
        return "cpu"
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def device_type(device: str) -> str:
    """What enters identities: "cpu" or "cuda"."""
    return device.partition(":")[0]
