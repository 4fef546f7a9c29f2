"""Boxes of pixels: drawn for each image, and painted over."""

from __future__ import annotations

import torch
from torch import Tensor


def box_masks(top: Tensor, left: Tensor, height: Tensor, width: Tensor, size: tuple[int, int]) -> Tensor:
    """(n, h, w) bool: row i is True in the box of those bounds, (n,) integers each; `size` is (h, w)."""
    rows = torch.arange(size[0], device=top.device) - top[:, None]
    columns = torch.arange(size[1], device=top.device) - left[:, None]
    tall = (rows >= 0) & (rows < height[:, None])
    wide = (columns >= 0) & (columns < width[:, None])
    return tall[:, :, None] & wide[:, None, :]


def boxes_of(count: int, box: tuple[int, int], size: tuple[int, int], rng: torch.Generator) -> Tensor:
    """(count, h, w) bool: boxes of `box` = (height, width) pixels, placed uniformly on images of `size`."""
    top = _below(torch.full((count,), size[0] - box[0] + 1, device=rng.device), rng)
    left = _below(torch.full((count,), size[1] - box[1] + 1, device=rng.device), rng)
    return box_masks(top, left, torch.full_like(top, box[0]), torch.full_like(left, box[1]), size)


def random_boxes(count: int, largest: float, size: tuple[int, int], rng: torch.Generator) -> Tensor:
    """(count, h, w) bool: boxes whose sides are uniform up to `largest` of the image's, placed uniformly."""
    sides = []
    for side in size:
        most = torch.full((count,), max(1, int(largest * side)), device=rng.device)
        length = 1 + _below(most, rng)
        sides.append((_below(side - length + 1, rng), length))
    (top, height), (left, width) = sides
    return box_masks(top, left, height, width, size)


def painted(x: Tensor, masks: Tensor, fill: float) -> Tensor:
    """x (n, c, h, w) with `fill` where masks (n, h, w) are True."""
    return torch.where(masks.to(x.device)[:, None], torch.full((), fill, device=x.device, dtype=x.dtype), x)


def _below(bounds: Tensor, rng: torch.Generator) -> Tensor:
    """(n,) integers, uniform in [0, bound)."""
    draws = torch.rand(bounds.shape, generator=rng, device=rng.device, dtype=torch.float64)
    return (draws * bounds).long()
