"""How many samples one timed call of a protocol works on."""

from __future__ import annotations

import torch
from torch import Tensor

POINTS, IMAGES = 1000, 100
"""Images go through networks that take milliseconds for each."""


def timed_count(shape: tuple[int, ...]) -> int:
    """1,000 points, or 100 images (channels, height, width)."""
    return IMAGES if len(shape) == 3 else POINTS


def timed_rows(x: Tensor) -> Tensor:
    """The first samples of x, so many as are timed, repeated where there are fewer."""
    return x[torch.arange(timed_count(tuple(x.shape[1:])), device=x.device) % len(x)]
