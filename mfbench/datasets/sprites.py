"""White shapes on black with six known factors, after dSprites (Matthey et al. 2017), drawn when asked for.

The factors and their numbers of values are those of dSprites: colour (1), shape (3), scale (6, from 0.5 to
1), orientation (40, from 0 to 2 pi with both ends, so the first and the last show the same), and the
position's x and y (32 each). Shapes are drawn anew with smooth edges; they aren't dSprites' pixels.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mfbench.datasets.drawing import Canvas, circle, ellipse, rectangle
from mfbench.datasets.drawn import SPLITS, Drawn, DrawnImages
from mfbench.datasets.images import Labels, RawImages
from mfbench.datasets.preprocessing import Channels, Levels
from mfbench.errors import UserError
from mfbench.identity import derive_seed

FACTORS = ("colour", "shape", "scale", "orientation", "x", "y")
VALUES = (1, 3, 6, 40, 32, 32)
SHAPES = ("square", "ellipse", "heart")

_NUMBERS = np.arange(math.prod(VALUES)).reshape(VALUES)
"""All combinations of factors, numbered."""

_REACH = 0.6
"""Greatest distance of a shape's middle from the picture's, in halves of its side: nothing is cut off."""

_CHUNK = 64


class DSpritesLike(DrawnImages):
    """Square, ellipse and heart in 6 scales, 40 orientations and 32 x 32 places: six factors as in dSprites.

    attributes: indices of the values of colour, shape, scale, orientation, x and y, (n, 6) int64. y: the
    shape. Colour has one value, as in dSprites. No combination of factors is twice in a split or in two
    splits; the first and the last orientation, which look the same, are in the same split.
    """

    name = "dsprites_like"
    colours = 1

    def __init__(
        self,
        *,
        count: int = 10_000,
        size: int = 64,
        drawn_size: int | None = None,
        channels: Channels = "native",
        jpeg_quality: int | None = None,
        dequantise: bool = False,
        jpeg_size: int | None = None,
        test_count: int | None = None,
        seed: int = 0,
    ) -> None:
        """Counts of images: a quarter of `count` for validation, half (or `test_count`) for the test.

        size, drawn_size: shapes are drawn at drawn_size (where None, at size) and reduced to size.
        """
        super().__init__(
            count=count,
            test_count=test_count,
            size=size,
            drawn_size=drawn_size,
            channels=channels,
            jpeg_quality=jpeg_quality,
            dequantise=dequantise,
            jpeg_size=jpeg_size,
            seed=seed,
        )
        most = _NUMBERS[:, :, :, :-1].size // 2
        if sum(self.counts.values()) > most:
            raise UserError(f"count = {count}: with validation and test at most {most} pictures are drawn")

    def raw(self, split: str) -> RawImages:
        factors = np.stack(np.unravel_index(self.combinations[split], VALUES), 1).astype(np.int64)
        pixels = Drawn(len(factors), lambda rows: draw_sprites(factors[rows], self.native[1]))
        names = {"attributes": FACTORS, "classes": SHAPES}
        return RawImages(pixels, factors[:, FACTORS.index("shape")].copy(), factors, names=names)

    @cached_property
    def combinations(self) -> dict[str, Labels]:
        """The combinations of factors in each split, numbered as by `numpy.unravel_index` over VALUES.

        All combinations are dealt out to the splits in proportion to their counts, then as many are drawn.
        """
        rng = np.random.default_rng(derive_seed(self.name, "splits", self.seed))
        part = np.empty(VALUES, dtype=np.int64)
        order = rng.permutation(_NUMBERS[:, :, :, :-1].ravel())
        ends = np.cumsum([self.counts[split] for split in SPLITS]) / sum(self.counts.values())
        part.ravel()[order] = np.searchsorted(ends * len(order), np.arange(len(order)), side="right")
        part[:, :, :, -1] = part[:, :, :, 0]
        return {
            split: rng.choice(_NUMBERS[part == index], self.counts[split], replace=False)
            for index, split in enumerate(SPLITS)
        }


def draw_sprites(factors: NDArray[np.int64], size: int) -> Levels:
    """Pictures (n, 1, size, size), 8-bit, of factors (n, 6) given as indices of their values."""
    made = np.zeros((len(factors), 1, size, size), dtype=np.uint8)
    for index, distance in enumerate((_square, _ellipse, _heart)):
        rows = np.flatnonzero(factors[:, FACTORS.index("shape")] == index)
        for start in range(0, len(rows), _CHUNK):
            chunk = rows[start : start + _CHUNK]
            made[chunk] = _draw(distance, torch.from_numpy(factors[chunk]), size)
    return made


def _draw(distance: Callable[[Tensor, Tensor], Tensor], factors: Tensor, size: int) -> Levels:
    """One shape, given by its signed distance, with these factors."""
    _, _, scale, turn, x, y = (factors.double() / (torch.tensor(VALUES) - 1).clamp(min=1)).T
    canvas = Canvas.blank(size, _REACH * (2 * torch.stack([x, y], 1) - 1), 0.5 + 0.5 * scale, channels=1)
    angle = (2 * math.pi * turn)[:, None, None]
    along = angle.cos() * canvas.x + angle.sin() * canvas.y
    across = angle.cos() * canvas.y - angle.sin() * canvas.x
    levels: Levels = canvas.inside(distance(along, across)).mul_(255).round_().to(torch.uint8).numpy()
    return levels[:, None]


def _square(x: Tensor, y: Tensor) -> Tensor:
    return rectangle(x, y, 0.29, 0.29)


def _ellipse(x: Tensor, y: Tensor) -> Tensor:
    return ellipse(x, y, x.new_tensor(0.22), x.new_tensor(0.40))


def _heart(x: Tensor, y: Tensor) -> Tensor:
    """A square that stands on a corner, with half a disc on each of its upper sides."""
    side, y = 0.22, y - 0.07
    square = rectangle((x + y) / math.sqrt(2), (x - y) / math.sqrt(2), side, side)
    middle = side / math.sqrt(2)
    return torch.minimum(square, circle(x.abs() - middle, y + middle, side))
