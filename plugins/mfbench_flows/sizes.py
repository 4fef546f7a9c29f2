"""Heights and widths: what can be halved, and images brought from one size to another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from torch import Tensor

from mfbench import Unsupported

Size: TypeAlias = tuple[int, int]
"""(height, width)."""
Shape: TypeAlias = tuple[int, int, int]
"""(channels, height, width)."""


def image_shape(shape: Sequence[int], who: str) -> Shape:
    """`shape` as (channels, height, width); Unsupported, saying what `who` needs, where it is no image's."""
    if len(shape) != 3:
        raise Unsupported(
            f"{who} is for images (channels, height, width); the data have shape {tuple(shape)}"
        )
    channels, height, width = shape
    return channels, height, width


def factors(size: Size) -> Size:
    """By what each side is divided when the size is halved: 2, or 1 for a side of 1, which stays.

    Unsupported where a longer side is odd, and where nothing is left to halve.
    """
    if any(side % 2 and side > 1 for side in size) or size == (1, 1):
        raise Unsupported(f"{size[0]} x {size[1]} pixels cannot be halved")
    return (2 if size[0] > 1 else 1), (2 if size[1] > 1 else 1)


def can_halve(size: Size) -> bool:
    """Whether `factors` has an answer."""
    return size != (1, 1) and all(side % 2 == 0 or side == 1 for side in size)


def halved(size: Size, who: str, times: int = 1) -> Size:
    """The size after `times` halvings; Unsupported where that cannot be, naming the size and `who` asks."""
    start = size
    for done in range(times):
        if not can_halve(size):
            raise Unsupported(
                f"{who}: images of {start[0]} x {start[1]} are halved {done} times at most, not {times}: "
                f"{size[0]} x {size[1]} does not halve evenly"
            )
        across, along = factors(size)
        size = size[0] // across, size[1] // along
    return size


def resized(x: Tensor, size: Size) -> Tensor:
    """x (n, c, h, w) at another size: each side a whole multiple of the old one (its pixels are repeated)
    or a whole fraction (they are averaged); ValueError elsewhere.
    """
    for dim, side in zip((2, 3), size):
        x = _resized_side(x, dim, side)
    return x


def _resized_side(x: Tensor, dim: int, side: int) -> Tensor:
    old = x.shape[dim]
    if side % old == 0:
        return x.repeat_interleave(side // old, dim) if side > old else x
    if old % side == 0:
        return x.unflatten(dim, (side, old // side)).mean(dim + 1)
    raise ValueError(f"a side of {old} pixels cannot become {side}: neither is a multiple of the other")
