"""What attacks raise: how wrong an answer is, one number a row."""

from __future__ import annotations

from typing import Literal, TypeAlias

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

Loss: TypeAlias = Literal["margin", "cross_entropy"]

_LEAST = 1e-12


def margin(logits: Tensor, labels: Tensor) -> Tensor:
    """max_{k != y} z_k - z_y (Carlini and Wagner 2017): above 0 where the answer is wrong."""
    right = logits.gather(1, labels[:, None])[:, 0]
    others = logits.scatter(1, labels[:, None], -torch.inf)
    return others.amax(dim=1) - right


def loss_of(name: Loss, logits: Tensor, labels: Tensor) -> Tensor:
    """(b,), higher = more wrong."""
    if name == "margin":
        return margin(logits, labels)
    return cross_entropy(logits, labels, reduction="none")


def targeted_dlr(logits: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
    """-(z_y - z_t) / (z_1st - (z_3rd + z_4th) / 2) (Croce and Hein 2020, Eq. 7), which no scale changes.

    With three classes, which have no fourth, the least logit stands for it. With two the ratio is 1 or -1
    whatever the logits: there it is the difference alone, the margin.
    """
    ordered = logits.sort(dim=1, descending=True).values
    last = logits.shape[1] - 1
    scale = ordered[:, 0] - (ordered[:, min(2, last)] + ordered[:, min(3, last)]) / 2
    gap = logits.gather(1, targets[:, None]) - logits.gather(1, labels[:, None])
    if last < 2:
        return gap[:, 0]
    return gap[:, 0] / scale.clamp(min=_LEAST)
