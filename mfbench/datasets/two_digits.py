"""Pairs of handwritten digits side by side (Tu et al. 2023, Fig. 9, 10): a grid of classes with two axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from mfbench.contracts.history import ImageHistory
from mfbench.datasets.digits import Digits
from mfbench.datasets.drawn import Drawn
from mfbench.datasets.idx import Mnist
from mfbench.datasets.images import ImageDataset, Labels, RawImages, checked_counts
from mfbench.datasets.preprocessing import Channels, Levels
from mfbench.datasets.splitting import SplitImages
from mfbench.errors import UserError
from mfbench.identity import derive_seed


class DigitPairs(ImageDataset):
    """Base of the pairs. A subclass says which set the single digits come from, as `single`.

    Each digit passes the preprocessing alone, then two are put side by side: (channels, size, 2 size). The
    two labels are drawn independently and evenly from `digits`, then an image of each. A split's pairs are
    made of the same split's images: the test's of the official test images.

    attributes: the left and the right digit, (n, 2). y: the pair, at left * k + right, where both are counted
    by their places in `digits`, k long.
    """

    single: ClassVar[type[SplitImages]]

    def __init__(
        self,
        *,
        count: int = 10_000,
        digits: Sequence[int] = (0, 1, 2, 3, 4, 5),
        held_out: Sequence[str] | None = None,
        size: int | None = None,
        channels: Channels = "native",
        jpeg_quality: int | None = None,
        dequantise: bool = False,
        jpeg_size: int | None = None,
        test_count: int | None = None,
        seed: int = 0,
    ) -> None:
        """Counts of pairs: a quarter of `count` for validation, half (or `test_count`) for the test.

        held_out: pairs such as "05" that are in the test only. size: of one digit.
        """
        self._digits = self.single(
            size=size, channels=channels, jpeg_quality=jpeg_quality, jpeg_size=jpeg_size, seed=seed
        )
        depth, height, width = self._digits.shape
        self.native = (depth, height, 2 * width)
        super().__init__(dequantise=dequantise, seed=seed)
        checked_counts(count, test_count)
        self.counts = {"train": count, "val": count // 4, "test": test_count or count // 2}
        self.digits = _checked_digits(digits)
        self.held_out = frozenset(_checked_pairs(held_out or (), self.digits))
        self.parameters = {
            **asdict(self._digits.preprocessing),
            "dequantise": dequantise,
            "count": count,
            "test_count": test_count,
            "digits": list(digits),
            "held_out": held_out and list(held_out),
        }

    @property
    def history(self) -> ImageHistory:
        return replace(self._digits.history, dequantised=self.preprocessing.dequantise)

    def raw(self, split: str) -> RawImages:
        rng = np.random.default_rng(derive_seed(self.name, split, self.seed))
        single = self._digits.prepared(split)
        places = self._places(split, rng)
        pairs = np.array(self.digits)[places]
        left, right = (_images_of(labels, single, rng) for labels in pairs.T)

        def side_by_side(rows: Labels) -> Levels:
            return np.concatenate([single.pixels[left[rows]], single.pixels[right[rows]]], axis=3)

        names = {"attributes": ("left", "right"), "classes": self._classes}
        y = places @ np.array([len(self.digits), 1])
        return RawImages(Drawn(len(y), side_by_side), y, pairs, names=names)

    def _places(self, split: str, rng: np.random.Generator) -> Labels:
        """The pairs of a split, (n, 2), as places in `digits`."""
        k = len(self.digits)
        allowed = [number for number in range(k * k) if split == "test" or not self._is_held_out(number)]
        numbers = rng.choice(np.array(allowed), self.counts[split])
        return np.stack(np.divmod(numbers, k), 1)

    def _is_held_out(self, number: int) -> bool:
        return self._classes[number] in self.held_out

    @property
    def _classes(self) -> tuple[str, ...]:
        return tuple(f"{left}{right}" for left in self.digits for right in self.digits)


class TwoDigits(DigitPairs):
    """Pairs of MNIST's digits side by side, 28 x 56 grey: 36 classes of the digits 0 to 5 by default."""

    name = "two_digits"
    single = Mnist

    def files(self) -> Mapping[str, str]:
        return self._digits.files()

    @classmethod
    def download(cls, folder: Path) -> None:
        Mnist.download(folder)

    @classmethod
    def missing(cls, folder: Path) -> Sequence[str]:
        return Mnist.missing(folder)

    @classmethod
    def check(cls, folder: Path) -> Sequence[str]:
        return Mnist.check(folder)

    @classmethod
    def unverified(cls, folder: Path) -> Sequence[str]:
        return Mnist.unverified(folder)


class TwoDigits8x8(DigitPairs):
    """Pairs of scikit-learn's digits side by side, 8 x 16 grey: no files needed; it isn't `two_digits`."""

    name = "two_digits_8x8"
    single = Digits


def _images_of(labels: Labels, images: RawImages, rng: np.random.Generator) -> Labels:
    """For each of the labels (n,) the row of an image that shows it."""
    shown = images.y
    assert shown is not None
    order = np.argsort(shown, kind="stable")
    start, stop = (np.searchsorted(shown[order], labels, side=side) for side in ("left", "right"))
    return order[rng.integers(start, stop)]


def _checked_digits(digits: Sequence[int]) -> tuple[int, ...]:
    if not digits or len(set(digits)) < len(digits) or not set(digits) <= set(range(10)):
        raise UserError(f"digits = {list(digits)}: different ones from 0 to 9, at least one")
    return tuple(digits)


def _checked_pairs(pairs: Sequence[str], digits: Sequence[int]) -> Sequence[str]:
    known = {f"{left}{right}" for left in digits for right in digits}
    for pair in pairs:
        if pair not in known:
            raise UserError(f"held_out: {pair!r} is no pair of the digits, such as {min(known)!r}")
    if known <= set(pairs):
        raise UserError("held_out names every pair: none is left to train on")
    return pairs
