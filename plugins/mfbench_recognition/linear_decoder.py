"""The best linear decoder of a code: the part of the pixels that the code holds linearly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

RIDGE = 1e-4
"""Penalty, in units of the mean square of a coordinate of the code."""


class LinearDecoder:
    """x = offset + z weight, fitted by penalised least squares; images of `shape`."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self.weight = torch.empty(0)
        self.offset = torch.empty(0)

    def fit(self, codes: Tensor, images: Tensor) -> None:
        """To codes (n, d) of images (n, *shape); computed in float64."""
        z, x = codes.double(), images.flatten(1).double()
        centre, offset = z.mean(dim=0), x.mean(dim=0)
        moved = z - centre
        gram = moved.T @ moved
        gram.diagonal().add_(RIDGE * float(gram.diagonal().mean()) + 1e-12)
        weight = torch.linalg.solve(gram, moved.T @ (x - offset))
        self.weight, self.offset = weight.to(images), (offset - centre @ weight).to(images)

    def __call__(self, codes: Tensor) -> Tensor:
        """Images (n, *shape)."""
        return (self.offset + codes @ self.weight).unflatten(1, self.shape)  # type: ignore[no-untyped-call]

    def state_dict(self) -> Mapping[str, Tensor]:
        """To be stored under names that begin with "decoder."."""
        return {"decoder.weight": self.weight, "decoder.offset": self.offset}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """What `state_dict` gave, possibly among other entries."""
        self.weight, self.offset = state["decoder.weight"], state["decoder.offset"]
