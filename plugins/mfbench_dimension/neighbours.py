"""Nearest neighbours in the training set, as differences from the points asked about."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mfbench import UserError

Array = NDArray[np.float64]

NUMBERS_AT_ONCE = 2**22
"""Of the differences held at a time: 32 MiB."""


class Neighbours:
    """The training points x (n, ...), searched exactly, by Euclidean distance, with scikit-learn."""

    def __init__(self, x: Tensor, k: int, who: str) -> None:
        """`k`: neighbours that will be asked for; `who` asks, for the message where there are too few."""
        from sklearn.neighbors import NearestNeighbors

        self.points = as_rows(x)
        if len(self.points) <= k:
            raise UserError(
                f"{who}: k = {k}: {len(self.points)} training points have at most {len(self.points) - 1} "
                "neighbours each"
            )
        self.k = k
        self.index = NearestNeighbors().fit(self.points)

    def around(self, x: Array) -> Iterator[tuple[Array, NDArray[np.int64]]]:
        """Block after block of x (m, d): the k nearest training points less x, (b, k, d), and who they are.

        A training point that is x itself is no neighbour of it. Nearest first.
        """
        height = max(1, NUMBERS_AT_ONCE // ((self.k + 1) * x.shape[1]))
        for start in range(0, len(x), height):
            block = x[start : start + height]
            found = self.index.kneighbors(block, self.k + 1, return_distance=False)
            differences = self.points[found] - block[:, None]
            # distances anew: those of the search are rounded differently in small and in large blocks
            order = np.argsort(np.linalg.norm(differences, axis=2), axis=1, kind="stable")
            found = np.take_along_axis(found, order, axis=1)
            differences = np.take_along_axis(differences, order[:, :, None], axis=1)
            itself = ~differences[:, :1].any(axis=2)
            some = np.arange(self.k) + itself
            yield (
                np.take_along_axis(differences, some[:, :, None], axis=1),
                np.take_along_axis(found, some, axis=1),
            )


def as_rows(x: Tensor) -> Array:
    """(n, ...) as float64 (n, d) on the CPU."""
    rows: Array = x.detach().flatten(1).cpu().double().numpy()
    return rows


def like(values: Array, x: Tensor) -> Tensor:
    """(n,) in x's dtype, on x's device."""
    return torch.from_numpy(values).to(x)
