"""Where on an image an attribute can show: known of drawn faces and of pairs of digits."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfbench.contracts import Dataset
from mfbench.datasets.face_parts import REGIONS
from mfbench.datasets.faces import SyntheticFaces, attribute_region
from mfbench.datasets.two_digits import DigitPairs

Mask = NDArray[np.bool_]

_HALVES = ("left", "right")


class Regions:
    """Of the images of one split: the pixels that an attribute can change; outside of them it does not."""

    def __init__(self, data: Dataset, split: str) -> None:
        self.data: Any = data
        while hasattr(self.data, "base"):  # through the views that the bench puts in front
            self.data = self.data.base
        self.face = self.data.faces(split)[0] if isinstance(self.data, SyntheticFaces) else None

    def of(self, attribute: str, rows: slice) -> Mask | None:
        """(n, height, width) of these images, or (1, height, width) for all of them; None: not known, or all.

        Of faces that were drawn larger and reduced, a pixel more on every side.
        """
        found: Mask | None = None
        if self.face is not None and attribute in REGIONS:
            found = attribute_region(self.face.rows(rows), attribute, self.data.shape[1])
            found = _wider(found) if self.data.native[1] != self.data.shape[1] else found
        elif isinstance(self.data, DigitPairs) and attribute in _HALVES:
            found = np.zeros((1, *self.data.shape[1:]), dtype=bool)
            half = self.data.shape[2] // 2
            found[:, :, half * _HALVES.index(attribute) : half * (1 + _HALVES.index(attribute))] = True
        return None if found is None or found.all() else found


def _wider(region: Mask) -> Mask:
    from scipy.ndimage import maximum_filter

    wider: Mask = maximum_filter(region, size=(1, 3, 3))
    return wider
