"""What all image data sets have in common: x (n, channels, height, width) in [0, 1], by one preprocessing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mfbench.contracts import Dataset, Split
from mfbench.contracts.history import ImageHistory
from mfbench.datasets.preprocessing import Channels, Levels, Pixels, Preprocessing, Shape, dequantise, to_unit
from mfbench.errors import UserError
from mfbench.identity import derive_seed

Labels = NDArray[np.int64]


@dataclass(frozen=True)
class RawImages:
    """Images before preprocessing: 8-bit pixels (n, c, h, w), and what else a `Split` holds, as arrays.

    y (n,), attributes (n, k) and identity (n,) are int64.
    """

    pixels: Pixels
    y: Labels | None = None
    attributes: Labels | None = None
    identity: Labels | None = None
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.pixels)

    def take(self, rows: NDArray[np.int64]) -> RawImages:
        """These rows, in this order."""

        def taken(labels: Labels | None) -> Labels | None:
            return None if labels is None else labels[rows]

        return RawImages(
            self.pixels[rows], taken(self.y), taken(self.attributes), taken(self.identity), self.names
        )


class ImageDataset(Dataset):
    """Base of the image data sets. A subclass gives `native` and `raw`; its parameters are these and its own.

    native: (channels, height, width) of what `raw` gives; where it depends on a parameter, set it before
        calling `super().__init__`.
    from_jpeg: the images are stored as JPEG, or were once.
    from_quality: of that JPEG, where it is known and the same for all.

    The preprocessing is among the parameters, and so in the digest. A subclass with parameters of its own
    adds them to `self.parameters`: the registry sets these, but a class may be used without it.
    """

    native: Shape
    from_quality: ClassVar[int | None] = None

    def __init__(
        self,
        *,
        size: int | None = None,
        channels: Channels = "native",
        jpeg_quality: int | None = None,
        dequantise: bool = False,
        jpeg_size: int | None = None,
        seed: int = 0,
    ) -> None:
        """See `preprocessing.Preprocessing`; UserError where a size would enlarge the images."""
        super().__init__(seed=seed)
        self.preprocessing = Preprocessing(size, channels, jpeg_quality, dequantise, jpeg_size)
        self.parameters = asdict(self.preprocessing)
        self.check_preprocessing()
        self.shape = self.preprocessing.shape(self.native)

    def check_preprocessing(self) -> None:
        """UserError where the preprocessing cannot be done to these images."""
        self.preprocessing.check(self.native)

    @property
    def from_jpeg(self) -> bool:
        return False

    @property
    def sides(self) -> tuple[int, int]:
        """The shorter sides, in pixels, of the smallest and the largest image as it is stored or drawn."""
        return min(self.native[1:]), min(self.native[1:])

    @property
    def history(self) -> ImageHistory:
        """What the stored images went through, and what the preprocessing adds to it."""
        chosen = self.preprocessing
        again = chosen.jpeg_quality is not None
        return ImageHistory(
            colour=self.native[0] == 3 and chosen.channels != "grey",
            jpeg=again or self.from_jpeg,
            jpeg_quality=chosen.jpeg_quality if again else self.from_quality,
            dequantised=chosen.dequantise,
            jpeg_scale=self._jpeg_scale if again or self.from_jpeg else None,
        )

    @property
    def _jpeg_scale(self) -> tuple[float, float]:
        """How far the images are reduced after their last JPEG, at least and at most."""
        chosen = self.preprocessing
        if chosen.size is None:
            return 1.0, 1.0
        least, most = (chosen.jpeg_size,) * 2 if chosen.jpeg_size is not None else self.sides
        return least / chosen.size, most / chosen.size

    def raw(self, split: str) -> RawImages:
        """The images of "train", "val" or "test" as they are stored or drawn; the same for the same seed."""
        raise NotImplementedError

    def prepared(self, split: str) -> RawImages:
        """The images of a split as 8-bit levels (n, *shape): all of the preprocessing but the last step."""
        raw = self.raw(split)
        return replace(raw, pixels=self.levels(raw.pixels))

    def levels(self, pixels: Pixels) -> Levels:
        """Raw pixels as 8-bit levels (n, *shape)."""
        return self.preprocessing.levels(pixels, self.native)

    def make_split(self, split: str) -> Split:
        made = self.prepared(split)
        x = self._floats(np.asarray(made.pixels[:]), split)
        return Split(x, _tensor(made.y), _tensor(made.attributes), _tensor(made.identity), dict(made.names))

    def _floats(self, levels: Levels, split: str) -> Tensor:
        if not self.preprocessing.dequantise:
            return to_unit(levels)
        seed = derive_seed(self.name, split, "dequantise", self.seed)
        return dequantise(levels, torch.Generator().manual_seed(seed))


def checked_counts(count: int | None, test_count: int | None) -> None:
    """UserError for a limit that leaves nothing: a quarter of `count` is validated on."""
    if count is not None and count < 4:
        raise UserError(f"count = {count}: at least 4, so that a quarter is left for validation")
    if test_count is not None and test_count < 1:
        raise UserError(f"test_count = {test_count}: at least 1")


def _tensor(labels: Labels | None) -> Tensor | None:
    return None if labels is None else torch.from_numpy(np.ascontiguousarray(labels))
