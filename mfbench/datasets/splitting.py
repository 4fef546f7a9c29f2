"""Train, val and test of images that lie in files: the official test, and a validation split out of train.

Rows come in a random order, so that the first n of any split are a fair sample of it (MNIST's first 5,000
test images are the easier ones; folders are sorted by class). What the official files say is the test is the
test; where they say nothing, a fifth of the images is, the same for every seed. A tenth of what is left is
for validation, another one for every seed. Images of one person are never in two splits.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from mfbench.datasets.images import ImageDataset, Labels, RawImages, checked_counts
from mfbench.datasets.preprocessing import Channels, Levels, Pixels
from mfbench.errors import UserError
from mfbench.identity import derive_seed

SPLITS = ("train", "val", "test")
TEST_SHARE, VAL_SHARE = 0.2, 0.1


class SplitImages(ImageDataset):
    """Base of image sets of fixed images. A subclass gives `part`.

    official: the parts that come split: ("train", "test"), these and "val", or ("all",).
    """

    official: ClassVar[tuple[str, ...]] = ("train", "test")

    def __init__(
        self,
        *,
        size: int | None = None,
        channels: Channels = "native",
        jpeg_quality: int | None = None,
        dequantise: bool = False,
        jpeg_size: int | None = None,
        classes: list[int] | None = None,
        upside_down: bool = False,
        count: int | None = None,
        test_count: int | None = None,
        seed: int = 0,
    ) -> None:
        """`count`: at most so many training images, and a quarter as many for validation.

        test_count: at most so many test images, the same for every seed. None: all there are.
        classes: only images with these labels, which stay what they are.
        upside_down: top and bottom exchanged before all else. Both make near out-of-distribution pairs.
        """
        super().__init__(
            size=size,
            channels=channels,
            jpeg_quality=jpeg_quality,
            dequantise=dequantise,
            jpeg_size=jpeg_size,
            seed=seed,
        )
        checked_counts(count, test_count)
        own = {"classes": classes, "upside_down": upside_down, "count": count, "test_count": test_count}
        self.parameters = {**self.parameters, **own}
        self._classes, self._upside_down = classes, upside_down
        self._waiting: dict[str, RawImages] = {}
        self._limits = {"train": count, "val": count and count // 4, "test": test_count}

    def part(self, name: str) -> RawImages:
        """One of the `official` parts, whole, in the order of the files."""
        raise NotImplementedError

    def raw(self, split: str) -> RawImages:
        name = self._part_of(split)
        part = self._waiting.pop(name) if name in self._waiting else self.part(name)
        if any(
            self._part_of(other) == name and other not in vars(self) for other in SPLITS if other != split
        ):
            self._waiting[name] = part  # the other splits of this part need not read it again
        return part.take(self._rows(split, part))

    def _part_of(self, split: str) -> str:
        return split if split in self.official else self.official[0]

    def _rows(self, split: str, part: RawImages) -> Labels:
        """The rows of `part` that are in the split, in their order."""
        rows = self._wanted(part)
        groups = part.identity
        if "test" not in self.official:
            test, rows = hold_out(rows, groups, TEST_SHARE, self._rng("test"), self.name)
            if split == "test":
                return test[: self._limits[split]]
        if split != "test" and "val" not in self.official:
            val, train = hold_out(rows, groups, VAL_SHARE, self._rng("val", self.seed), self.name)
            rows = val if split == "val" else train
        else:
            seed = () if split == "test" else (self.seed,)
            rows = self._rng(split, *seed).permutation(rows)
        return rows[: self._limits[split]]

    def _wanted(self, part: RawImages) -> Labels:
        """The rows with the labels asked for."""
        if self._classes is None:
            return np.arange(len(part))
        if part.y is None:
            raise UserError(f"{self.name}: classes = {self._classes}, but its images have no labels")
        without = sorted(set(self._classes) - set(np.unique(part.y).tolist()))
        if without or not self._classes:
            which = f"no image has the label {without[0]}" if without else "at least one"
            raise UserError(f"{self.name}: classes = {self._classes}: {which}")
        return np.flatnonzero(np.isin(part.y, self._classes))

    def levels(self, pixels: Pixels) -> Levels:
        return super().levels(_UpsideDown(pixels) if self._upside_down else pixels)

    def _rng(self, *names: str | int) -> np.random.Generator:
        return np.random.default_rng(derive_seed(self.name, "split", *names))


class _UpsideDown:
    """Other `Pixels` with top and bottom exchanged when they are read."""

    def __init__(self, pixels: Pixels) -> None:
        self._pixels = pixels

    def __len__(self) -> int:
        return len(self._pixels)

    def __getitem__(self, rows: slice, /) -> Levels:
        upright: Levels = self._pixels[rows]
        return upright[:, :, ::-1]


def hold_out(
    rows: Labels, groups: Labels | None, share: float, rng: np.random.Generator, name: str
) -> tuple[Labels, Labels]:
    """About `share` of the rows, and the others, both in random order; a group is on one side.

    rows (m,) index groups (n,), which says who is on an image; None: somebody else on each. UserError where
    nothing would be left.
    """
    members = rows if groups is None else np.unique(groups[rows])
    count = max(1, round(share * len(members)))
    if count >= len(members):
        raise UserError(f"{name}: {len(members)} images or people are too few for train, val and test")
    shuffled = rng.permutation(rows)
    if groups is None:
        return shuffled[:count], shuffled[count:]
    inside = np.isin(groups[shuffled], rng.permutation(members)[:count])
    return shuffled[inside], shuffled[~inside]
