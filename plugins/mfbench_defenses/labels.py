"""The labels that a classifier learns, checked."""

from __future__ import annotations

import torch
from torch import Tensor

from mfbench import Dataset, UserError


def class_labels(data: Dataset, classes: int) -> Tensor:
    """`data.train.y`, (n,) int64 in [0, classes); UserError where there are none, or one lies outside."""
    y = data.train.y
    if y is None:
        raise UserError(
            f"data set {data.name!r} has names of classes, but its training images have no labels y"
        )
    outside = int(((y < 0) | (y >= classes)).sum())
    if y.shape != (len(data.train),) or outside:
        raise UserError(
            f"data set {data.name!r}: labels y of shape {tuple(y.shape)}, {outside} of them outside of "
            f"0 .. {classes - 1}; one label a training image within that range is right"
        )
    return y.to(torch.int64)
