"""Samples and held-out images compared by what a classifier of the data set sees of them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mfbench import measures
from mfbench.contracts import HasFeatures, Value
from mfbench.errors import UserError
from mfbench.protocols.checked import checked_samples
from mfbench.protocols.draws import Streams

PART = "features"
"""The part of metrics that are also given for pixels."""
BATCH = 256


def require_features(features: Any) -> None:
    """UserError unless it has the ability."""
    if not isinstance(features, HasFeatures):
        raise UserError(
            f"sample_quality: features = {type(features).__name__} has no features; "
            "a classifier with the ability HasFeatures, as the defense cnn, is right"
        )


def features_of(images: Tensor, features: HasFeatures) -> Tensor:
    """(n, d) of images (n, channels, height, width), clamped to [0, 1]: as they would be shown."""
    with torch.no_grad():
        parts = (images[start : start + BATCH] for start in range(0, len(images), BATCH))
        found = torch.cat([features.features(part.clamp(0, 1)) for part in parts])
    return checked_samples(found, (len(images), *found.shape[1:2]), features, "features")


def feature_quality(samples: Tensor, held_out: Tensor, streams: Streams) -> list[Value]:
    """KID's and FID's formula, the overlap of the supports, and C2ST, on features (n, d) and (m, d)."""
    n = len(samples)
    kernel = measures.kernel_distance(samples, held_out)
    overlap = measures.precision_recall_density_coverage(samples, held_out)
    return [
        Value("kid", "", kernel.value, n, kernel.low, kernel.high),
        Value("fid", "", measures.frechet_distance(samples, held_out), n),
        *told_apart(samples, held_out, streams, PART),
        Value("precision", PART, overlap.precision, n),
        Value("density", PART, overlap.density, n),
        Value("recall", PART, overlap.recall, n),
        Value("coverage", PART, overlap.coverage, n),
    ]


def told_apart(samples: Tensor, held_out: Tensor, streams: Streams, part: str = "") -> list[Value]:
    """The classifier two-sample test: accuracy with Wilson's interval, and its permutation p."""
    test = measures.c2st(samples, held_out, rng=streams("c2st", *([part] if part else [])))
    accuracy = measures.wilson(round(test.accuracy * test.n), test.n)
    return [
        Value("c2st_accuracy", part, accuracy.value, test.n, accuracy.low, accuracy.high),
        Value("c2st_p", part, test.p_value, test.n),
    ]


def bias_note(n: int, d: int) -> str:
    """What a reader of an FID must know."""
    short = ", fewer than dimensions" if n < d else ""
    biased = f"{n} samples in {d} dimensions{short}, biased upwards by about d / n"
    return f"fid: {biased}; read it beside the ceiling"
