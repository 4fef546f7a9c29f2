"""Disentanglers: codes whose dimensions mean something."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mfbench.contracts.method import Method, Progress

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from mfbench.contracts.dataset import Dataset


class Disentangler(Method):
    """Encodes images into a latent code and decodes them again."""

    labels_used: float = 0.0
    """Share of the training attributes (or classes y, or identities) that guided `fit`: 0 where none did, 1
    for all of them of every image, 0.01 for those of one image in a hundred. Known after `fit` at the latest,
    and part of the state where it is not known from `build` on. Methods are ranked among those that used as
    much.
    """

    def fit(self, data: Dataset, *, rng: torch.Generator, progress: Progress) -> None:
        """Fit to `data.train`; `data.train.attributes` may guide it."""
        raise NotImplementedError

    def encode(self, x: Tensor) -> Tensor:
        """(n, d) latent means."""
        raise NotImplementedError

    def decode(self, z: Tensor) -> Tensor:
        """Samples in data space from codes (n, d)."""
        raise NotImplementedError

    def symbols(self, x: Tensor) -> Tensor:
        """(n, d) int64: the discrete message, where the method has one."""
        raise NotImplementedError
