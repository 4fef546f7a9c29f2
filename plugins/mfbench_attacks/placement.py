"""Patches that move: where masks begin, and images shifted to there."""

from __future__ import annotations

import torch
from torch import Tensor


def boxes_of(masks: Tensor) -> Tensor:
    """(m, 4) int64: top, left, height and width of the smallest rectangle that holds each mask."""
    sides = []
    for along in (masks.any(dim=2), masks.any(dim=1)):
        first = along.int().argmax(dim=1)
        last = along.shape[1] - 1 - along.flip(1).int().argmax(dim=1)
        sides.append((first, last - first + 1))
    (top, height), (left, width) = sides
    return torch.stack([top, left, height, width], dim=1)


def shifted(x: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """Each image of x (b, channels, height, width) moved by its own pixels (b,), around the edge."""
    height, width = x.shape[2:]
    rows = (torch.arange(height, device=x.device) - down[:, None]) % height
    columns = (torch.arange(width, device=x.device) - right[:, None]) % width
    which = torch.arange(len(x), device=x.device)[:, None, None]
    return x.movedim(1, -1)[which, rows[:, :, None], columns[:, None, :]].movedim(-1, 1)


def draw(count: int, most: Tensor | int, rng: torch.Generator, device: torch.device) -> Tensor:
    """(count,) int64, uniform in 0 .. most - 1, where `most` is one number or one for each."""
    share = torch.rand(count, generator=rng, device=rng.device, dtype=torch.float64).to(device)
    return (share * most).long()
