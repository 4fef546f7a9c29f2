"""Masks of which one surely covers a patch of a given size, wherever it is."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mfbench import UserError
from mfbench_defenses.boxes import box_masks


def checked_patch(who: str, patch: Sequence[int] | None) -> tuple[int, int] | None:
    """(height, width) in pixels as given; UserError where it is none."""
    if patch is None:
        return None
    if len(patch) != 2 or min(patch) < 1:
        raise UserError(f"{who}: patch = {list(patch)}: height and width in pixels, at least 1 each")
    return patch[0], patch[1]


def patch_on(who: str, patch: tuple[int, int] | None, shape: Sequence[int]) -> tuple[int, int]:
    """The patch, or a quarter of the height and half of the width; UserError where it exceeds the image."""
    height, width = shape[-2:]
    found = patch or (max(1, height // 4), max(1, width // 2))
    if found[0] > height or found[1] > width:
        raise UserError(f"{who}: a patch of {found} pixels on images of {(height, width)}")
    return found


def band_of(who: str, height: int | None, shape: Sequence[int]) -> tuple[int, int]:
    """A patch of that height (None: a quarter) as wide as the image: masks that cover it are bands."""
    return patch_on(who, (height or max(1, shape[1] // 4), shape[2]), shape)


def covering_masks(size: tuple[int, int], patch: tuple[int, int], count: int) -> Tensor:
    """(m, h, w) bool, at most count^2 boxes: any place of a patch lies wholly inside one of them.

    Along a side of n pixels a patch of p has n - p + 1 places; boxes at multiples of the stride s =
    ceil((n - p + 1) / count), p + s - 1 long, cover s places each (their section 3.3).
    """
    axes = []
    for length, part in zip(size, patch):
        stride = -(-(length - part + 1) // count)
        extent = min(part + stride - 1, length)
        starts = sorted({min(place, length - extent) for place in range(0, length - part + 1, stride)})
        axes.append((torch.tensor(starts), extent))
    (tops, height), (lefts, width) = axes
    top, left = (places.flatten() for places in torch.meshgrid(tops, lefts, indexing="ij"))
    return box_masks(top, left, torch.full_like(top, height), torch.full_like(left, width), size)


def holding(masks: Tensor, patches: Tensor) -> Tensor:
    """(p, m) bool: which of the masks (m, h, w) hold which of the patches (p, h, w) wholly."""
    return ~(patches[:, None] & ~masks[None]).flatten(2).any(2)
