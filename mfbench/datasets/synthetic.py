"""Data sets that are computed: independent draws from a known distribution."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mfbench.contracts import Dataset, Split
from mfbench.errors import UserError
from mfbench.identity import derive_seed

Array = NDArray[np.float64]


class SyntheticDataset(Dataset):
    """`count` training points, a quarter as many for validation, half as many (or `test_count`) for the test.

    Each split is drawn independently with a generator of its own, seeded by (name, split, seed), in float64,
    and served in float32. A subclass gives `draw` and `exact_log_density`.
    """

    def __init__(self, *, count: int, test_count: int | None, seed: int) -> None:
        super().__init__(seed=seed)
        if count < 4:
            raise UserError(f"count = {count}: at least 4, so that a quarter is left for validation")
        if test_count is not None and test_count < 1:
            raise UserError(f"test_count = {test_count}: at least 1")
        self.counts = {"train": count, "val": count // 4, "test": test_count or count // 2}

    def make_split(self, split: str) -> Split:
        rng = np.random.default_rng(derive_seed(self.name, split, self.seed))
        return Split(torch.from_numpy(self.draw(self.counts[split], rng)).float())

    def log_density(self, x: Tensor) -> Tensor:
        """log p(x) in nats, (n,), for x (n, dim); computed in float64, given in x's dtype; differentiable."""
        if x.shape[1:] != self.shape:
            raise ValueError(f"{self.name} lies in {self.shape}, x has shape {tuple(x.shape)}")
        return self.exact_log_density(x.double()).to(x.dtype)

    def draw(self, count: int, rng: np.random.Generator) -> Array:
        """(count, dim) independent points in data space."""
        raise NotImplementedError

    def exact_log_density(self, x: Tensor) -> Tensor:
        """log p(x) in nats, (n,), for float64 x (n, dim)."""
        raise NotImplementedError
