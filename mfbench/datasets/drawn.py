"""What computed image sets have in common: how many pictures, of which size, drawn when asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from mfbench.datasets.images import ImageDataset, Labels, checked_counts
from mfbench.datasets.preprocessing import Channels, Levels
from mfbench.errors import UserError

SPLITS = ("train", "val", "test")

_SMALLEST = 8


class Drawn:
    """Pictures as `preprocessing.Pixels`: whoever asks for rows has them drawn, and nothing is kept."""

    def __init__(self, count: int, draw: Callable[[Labels], Levels]) -> None:
        """`draw` gives the pictures (n, c, h, w) of rows (n,), the same whatever else is asked for."""
        self.count = count
        self.draw = draw

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, rows: Any, /) -> Levels:
        return self.draw(np.arange(self.count)[rows])


class DrawnImages(ImageDataset):
    """Base of computed image sets: `count` training images, a quarter as many to validate, half to test.

    colours: channels of what is drawn.
    """

    colours: ClassVar[int] = 3

    def __init__(
        self,
        *,
        count: int,
        test_count: int | None,
        size: int,
        drawn_size: int | None,
        channels: Channels,
        jpeg_quality: int | None,
        dequantise: bool,
        jpeg_size: int | None,
        seed: int,
    ) -> None:
        """`drawn_size`: where it is not `size`, pictures are drawn at it and reduced, as photographs are."""
        self.native = (self.colours, drawn_size or size, drawn_size or size)
        super().__init__(
            size=size,
            channels=channels,
            jpeg_quality=jpeg_quality,
            dequantise=dequantise,
            jpeg_size=jpeg_size,
            seed=seed,
        )
        checked_counts(count, test_count)
        if size < _SMALLEST:
            raise UserError(f"size = {size}: at least {_SMALLEST}, or nothing can be told")
        self.counts = {"train": count, "val": count // 4, "test": test_count or count // 2}
        own = {"count": count, "test_count": test_count, "drawn_size": drawn_size}
        self.parameters = {**self.parameters, **own}
