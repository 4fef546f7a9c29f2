"""Binary attributes of images: the data set's own, or, where it has none, computed from the pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mfbench.contracts import Dataset
from mfbench.errors import Unsupported
from mfbench.protocols.codes import Factors, factors_of, varying

Array = NDArray[Any]

COMPUTED = ("bright", "high_contrast", "lit_from_left", "lit_from_above", "detailed", "bright_middle")


def binary_attributes(data: Dataset, count: int | None) -> tuple[tuple[str, ...], Array, list[str]]:
    """Names, values (n, k) int8 of the first `count` test images, and notes.

    Unsupported where the data have attributes and none of two values, or have neither them nor images.
    """
    if data.test.attributes is None:
        return _computed(data, count)
    asked = factors_of(data.test, data.name)
    values = asked.of(data.test)[:count]
    binary = [j for j, column in enumerate(values.T) if set(np.unique(column)) <= {0, 1}]
    if not binary:
        raise Unsupported(f"data set {data.name!r} has no attributes of the values 0 and 1")
    others = [name for j, name in enumerate(asked.names) if j not in binary]
    notes = [f"left out, not binary: {', '.join(others)}"] if others else []
    kept, more = varying(asked.keep(binary), values[:, binary])
    return kept.names, kept.of(data.test)[:count].astype(np.int8), [*notes, *more]


def _computed(data: Dataset, count: int | None) -> tuple[tuple[str, ...], Array, list[str]]:
    if len(data.shape) != 3:
        raise Unsupported(f"data set {data.name!r} has no attributes, and no images to compute some from")
    middle = np.median(pixel_statistics(data.train.x), axis=0)
    values = (pixel_statistics(data.test.x[:count]) > middle).astype(np.int64)
    kept, more = varying(Factors(COMPUTED, tuple(range(len(COMPUTED)))), values)
    note = "attributes computed from pixels, above the training median: " + ", ".join(kept.names)
    return kept.names, values[:, list(kept.columns)].astype(np.int8), [note, *more]


def pixel_statistics(images: Tensor) -> Array:
    """(n, 6) of images (n, c, h, w): see `COMPUTED`."""
    grey = images.float().mean(dim=1)
    height, width = grey.shape[1:]
    top, left = grey[:, : height // 2], grey[:, :, : width // 2]
    bottom, right = grey[:, -(height // 2) :], grey[:, :, -(width // 2) :]
    centre = grey[:, height // 4 : -(height // 4), width // 4 : -(width // 4)]
    mean = grey.mean(dim=(1, 2))
    found = (
        mean,
        grey.std(dim=(1, 2)),
        left.mean(dim=(1, 2)) - right.mean(dim=(1, 2)),
        top.mean(dim=(1, 2)) - bottom.mean(dim=(1, 2)),
        grey.diff(dim=1).abs().mean(dim=(1, 2)) + grey.diff(dim=2).abs().mean(dim=(1, 2)),
        centre.mean(dim=(1, 2)) - mean,
    )
    return np.stack([column.cpu().numpy() for column in found], axis=1)
