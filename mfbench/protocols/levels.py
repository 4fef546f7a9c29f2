"""Images by level: level 1 is the full size, the next one holds the means of its 2 x 2 blocks, and so on."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn.functional import avg_pool2d

from mfbench.contracts import Dataset
from mfbench.errors import Unsupported, UserError


def require_images(data: Dataset, who: str) -> None:
    """Unsupported, naming the protocol `who`, for anything but images (channels, height, width)."""
    if len(data.shape) != 3:
        raise Unsupported(
            f"{who} is for images (channels, height, width); {data.name} has shape {data.shape}"
        )


def require_levels(levels: Sequence[int], who: str) -> None:
    """UserError where none is asked for, or one is named twice or below 1."""
    if not levels or len(set(levels)) < len(levels) or min(levels) < 1:
        raise UserError(f"{who}: levels = {list(levels)}: whole numbers from 1, the full size, each once")


def check_levels(levels: Sequence[int], shape: Sequence[int], who: str) -> None:
    """As `require_levels`; Unsupported where sides do not halve so often."""
    require_levels(levels, who)
    for level in levels:
        shape_at(shape, level)


def shape_at(shape: Sequence[int], level: int) -> tuple[int, int, int]:
    """(channels, height, width) of the images of a level; Unsupported where there are none."""
    channels, height, width = shape
    factor = 2 ** (level - 1)
    if height % factor or width % factor:
        raise Unsupported(
            f"images of {height} x {width} have no level {level}: {factor} does not divide them"
        )
    return channels, height // factor, width // factor


def at_level(x: Tensor, level: int) -> Tensor:
    """The level's images, (n, c, h / f, w / f), f = 2^(level - 1), of full-size ones (n, c, h, w)."""
    return avg_pool2d(x, 2 ** (level - 1)) if level > 1 else x


def enlarged(x: Tensor, shape: Sequence[int]) -> Tensor:
    """Every pixel repeated until the image has the height and width of `shape`: what a classifier of
    full-size images is shown of a smaller one.
    """
    _, height, width = shape
    return x.repeat_interleave(height // x.shape[2], 2).repeat_interleave(width // x.shape[3], 3)
