"""Handwritten digits, 8 x 8 grey, that come with scikit-learn: image data where there are no files."""

from __future__ import annotations

from typing import Any

import numpy as np

from mfbench.datasets.images import RawImages
from mfbench.datasets.splitting import SplitImages


class Digits(SplitImages):
    """The 1,797 test images of Alpaydin and Kaynak (1998), UCI "optical recognition of handwritten digits".

    A pixel counts the ink in 4 x 4 of a bitmap, 0 to 16; the level of k is 255 k / 16, rounded. So there are
    17 levels, 16 apart: `dequantise`, which fills the gap between neighbouring 8-bit levels, is far from
    filling these gaps.
    """

    name = "digits"
    native = (1, 8, 8)
    official = ("all",)

    def part(self, name: str) -> RawImages:
        from sklearn.datasets import load_digits  # 1 s, and not needed to know the set's shape

        stored: Any = load_digits()
        pixels = np.round(stored.images * (255 / 16)).astype(np.uint8)[:, None]
        names = {"classes": tuple(str(digit) for digit in stored.target_names)}
        return RawImages(pixels, y=stored.target.astype(np.int64), names=names)
