"""What `step_consistency` measures on images beside distance: PSNR, SSIM, LPIPS and a classifier's labels.

All of it on images clamped to [0, 1], so that the range of values is 1. A PSNR over a range R in a model
space of x / s (plus anything) is higher by 20 log10(R s), where nothing is clamped: the paper's range of 2 in
[-1, 1], where s is 1/2, gives the same number as the range of 1 here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mfbench import measures
from mfbench.contracts import Defense, Metric, Split, Value
from mfbench.errors import ContractError, Unsupported
from mfbench.protocols.checked import checked_samples

Array = NDArray[Any]

METRICS = (
    Metric("psnr", "dB", "higher", description="images: mean, to the exact ODE solution, range 1"),
    Metric("self_psnr", "dB", "higher", description="images: the same, to the own result at h = 1"),
    Metric("ssim", "", "higher", description="images: mean, to the exact ODE solution", lowest=-1, highest=1),
    Metric(
        "self_ssim",
        "",
        "higher",
        description="images: the same, to the own result at h = 1",
        lowest=-1,
        highest=1,
    ),
    Metric("lpips", "", "lower", description="images: mean (AlexNet), to the exact ODE solution", lowest=0),
    Metric("self_lpips", "", "lower", description="images: the same, to the own result at h = 1", lowest=0),
    Metric(
        "label_agreement",
        "",
        "higher",
        description="images with the label of the exact solution",
        lowest=0,
        highest=1,
    ),
    Metric(
        "self_label_agreement",
        "",
        "higher",
        description="with that of the own result at h = 1",
        lowest=0,
        highest=1,
    ),
    Metric(
        "classifier_accuracy",
        "",
        None,
        description="of the classifier that labels, on held-out data",
        lowest=0,
        highest=1,
    ),
)
"""The metrics that only images have."""

FINEST = 20 * math.log10(2**24)
"""144.5 dB: an error of float32's rounding just below 1 in every pixel. No PSNR counts as more: nothing finer
can be told, and one pair of equal images would make the mean infinite."""
BOUNDS = {"psnr": (0.0, FINEST), "ssim": (-1.0, 1.0), "lpips": (0.0, math.inf)}
BATCH = 256
"""Images classified at once: the classifier keeps what its gradient needs."""


def likeness(samples: Tensor, exact: Tensor, own: Tensor) -> tuple[list[Value], list[str]]:
    """Means over images (n, c, h, w) with Student's intervals, to the exact ones and to the own at h = 1, of
    which there may be fewer: the first.

    LPIPS is left out where it cannot be had, and the notes say why.
    """
    values, notes = [], []
    for prefix, others in (("", exact), ("self_", own)):
        x, y = samples[: len(others)].clamp(0, 1), others.clamp(0, 1)
        decibel = measures.psnr(x, y)
        if (decibel > FINEST).any():
            notes.append(f"equal images count as {FINEST:.1f} dB (rounding of float32)")
        found = {"psnr": np.minimum(decibel, FINEST), "ssim": measures.ssim(x, y)}
        try:
            found["lpips"] = measures.lpips(x, y)
        except Unsupported as absent:
            notes.append(f"no LPIPS: {without_places(str(absent))}")
        values += [_mean(prefix + name, each, *BOUNDS[name]) for name, each in found.items()]
    return values, list(dict.fromkeys(notes))


def without_places(reason: str) -> str:
    """A reason without what stands in brackets: folders of this machine, which no board should show."""
    return re.sub(r" \([^()]*\)", "", reason)


def _mean(metric: str, values: Array, least: float, most: float) -> Value:
    """With Student's interval, cut where the measure ends. (BCa has none where images are equal but for
    rounding, as at small steps.)"""
    mean = measures.student(values)
    ends = [None if end is None else min(max(end, least), most) for end in (mean.low, mean.high)]
    return Value(metric, "", mean.value, len(values), *ends)


def agreement(
    classifier: Defense, samples: Tensor, exact: Tensor, own: Tensor, held_out: Split
) -> Iterator[Value]:
    """Shares of samples whose label is that of their counterpart, and of held-out images labelled rightly."""
    given = labels(classifier, samples)
    for prefix, others in (("", exact), ("self_", own)):
        yield _share(f"{prefix}label_agreement", given[: len(others)] == labels(classifier, others))
    if held_out.y is not None:
        yield _share("classifier_accuracy", labels(classifier, held_out.x) == held_out.y)


def labels(classifier: Defense, images: Tensor) -> Tensor:
    """(n,) int64, by the undefended classifier, of images (n, c, h, w), clamped to [0, 1]."""
    parts = torch.split(images.clamp(0, 1), BATCH)
    return torch.cat([_logits(classifier, part).argmax(dim=1) for part in parts])


def _logits(classifier: Defense, images: Tensor) -> Tensor:
    logits = classifier.logits(images)
    shape = tuple(getattr(logits, "shape", ()))
    if len(shape) != 2 or shape[0] != len(images):
        raise ContractError(
            f"{type(classifier).__name__}.logits must return shape ({len(images)}, classes), not {shape}"
        )
    return checked_samples(logits, shape, classifier, "logits")


def _share(metric: str, agree: Tensor) -> Value:
    share = measures.wilson(int(agree.sum()), len(agree))
    return Value(metric, "", share.value, len(agree), share.low, share.high)
