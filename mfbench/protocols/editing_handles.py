"""By which dimension of a code an attribute is edited, and to what: found on validation images.

The dimension is the one that tells most of the attribute (20-bin histograms); a value's place on it is the
mean code of the validation images that have the value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mfbench.protocols.codes import as_codes
from mfbench.protocols.disentanglement_measures import information_table

Array = NDArray[Any]


@dataclass(frozen=True)
class Handle:
    """values (v,), int64, ascending; places (v,): the code that stands for each, on this dimension."""

    dimension: int
    values: Array
    places: Array

    def place(self, value: float) -> float:
        """The code of a position between values: 0 is the lowest value's place, 1 the highest's."""
        return float(self.places[0] + value * (self.places[-1] - self.places[0]))

    def others(self, current: Array, rng: np.random.Generator) -> Array:
        """For each current value (n,) another one, evenly drawn; the only other one where there are two."""
        rank = np.searchsorted(self.values, current)
        count = len(self.values)
        return np.asarray(self.values[(rank + rng.integers(1, count, len(current))) % count])

    def codes(self, values: Array) -> Array:
        """The places of values (n,)."""
        return np.asarray(self.places[np.searchsorted(self.values, values)])


def handles(codes: Tensor, truth: Array, strength: float) -> list[Handle]:
    """One an attribute, from validation codes (n, d) and attributes (n, k).

    Places lie `strength` times as far from their middle as the mean codes do.
    """
    known = as_codes(codes)
    dimensions = information_table(known, truth).argmax(axis=0)
    return [_handle(known[:, i], column, int(i), strength) for i, column in zip(dimensions, truth.T)]


def _handle(code: Array, attribute: Array, dimension: int, strength: float) -> Handle:
    values = np.unique(attribute)
    means = np.array([code[attribute == value].mean() for value in values])
    return Handle(dimension, values, means.mean() + strength * (means - means.mean()))


def with_places(codes: Tensor, moves: Sequence[tuple[int, Array | float]]) -> Tensor:
    """Copies of codes (n, d) in which these dimensions are set, each to one number or to (n,)."""
    moved = codes.clone()
    for dimension, places in moves:
        moved[:, dimension] = torch.as_tensor(places, dtype=codes.dtype, device=codes.device)
    return moved
