"""How like their originals images are: PSNR, SSIM and LPIPS with intervals."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mfbench import measures
from mfbench.contracts import Metric, Value
from mfbench.errors import Unsupported
from mfbench.protocols.step_images import BOUNDS, FINEST, without_places

Array = NDArray[Any]

SSIM = Metric(
    "ssim", "", "higher", description="mean structural similarity to the original", lowest=-1, highest=1
)
LPIPS = Metric(
    "lpips", "", "lower", description="mean perceptual distance (AlexNet) to the original", lowest=0
)


def decibels(x: Tensor, y: Tensor) -> Array:
    """PSNR of each image, (n,), both clamped to [0, 1]; none counts as more than float32's rounding."""
    return np.minimum(measures.psnr(x.clamp(0, 1), y.clamp(0, 1)), FINEST)


def likeness(x: Tensor, y: Tensor, part: str = "") -> tuple[list[Value], list[str]]:
    """SSIM and LPIPS of images x to their originals y, (n, c, h, w) clamped to [0, 1], and notes.

    LPIPS is left out where it cannot be had, and the note says why.
    """
    x, y = x.clamp(0, 1), y.clamp(0, 1)
    values, notes = [mean_value("ssim", part, measures.ssim(x, y))], []
    try:
        values.append(mean_value("lpips", part, measures.lpips(x, y)))
    except Unsupported as absent:
        notes.append(f"no LPIPS: {without_places(str(absent))}")
    return values, notes


def mean_value(metric: str, part: str, values: Array) -> Value:
    """With Student's interval, cut where the measure ends."""
    least, most = BOUNDS.get(metric, (-np.inf, np.inf))
    mean = measures.student(values)
    ends = [None if end is None else min(max(end, least), most) for end in (mean.low, mean.high)]
    return Value(metric, part, mean.value, len(values), *ends)
