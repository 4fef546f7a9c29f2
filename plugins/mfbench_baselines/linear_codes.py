"""Linear codes: principal components as the baseline of disentangling, random projections as its control."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from mfbench import Dataset, DataSpec, Disentangler, Progress, Role
from mfbench_baselines.arguments import require_at_least
from mfbench_baselines.seeds import seed_from

DIMENSIONS = 10
"""Of the code, where neither the parameter nor the data's attributes say how many."""


class LinearCode(Disentangler):
    """z = (x - mean) W, and back x = mean + z V. A subclass fits the matrices `encoder` W and `decoder` V."""

    def __init__(self, dimensions: int | None = None) -> None:
        """dimensions: of the code; by default as many as the data have attributes (at least two)."""
        if dimensions is not None:
            require_at_least("a linear code", 2, dimensions=dimensions)
        self.dimensions = dimensions

    def build(self, spec: DataSpec) -> None:
        size = math.prod(spec.shape)
        wanted = self.dimensions or max(2, len(spec.attributes) or DIMENSIONS)
        count = min(wanted, size, spec.train_count)
        self.shape = spec.shape
        self.mean = torch.zeros(size, device=spec.device, dtype=spec.dtype)
        self.encoder = self.mean.new_zeros(size, count)
        self.decoder = self.mean.new_zeros(count, size)

    def encode(self, x: Tensor) -> Tensor:
        return (x.flatten(1) - self.mean) @ self.encoder

    def decode(self, z: Tensor) -> Tensor:
        return (self.mean + z @ self.decoder).unflatten(1, self.shape)

    def state_dict(self) -> Mapping[str, Tensor]:
        return {"mean": self.mean, "encoder": self.encoder, "decoder": self.decoder}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.mean, self.encoder, self.decoder = state["mean"], state["encoder"], state["decoder"]


class PrincipalComponents(LinearCode):
    """The directions of largest variance (scikit-learn, randomised SVD)."""

    def fit(self, data: Dataset, *, rng: torch.Generator, progress: Progress) -> None:
        from sklearn.decomposition import PCA

        x = data.train.x.flatten(1)
        found = PCA(len(self.decoder), svd_solver="randomized", random_state=seed_from(rng))
        found.fit(x.cpu().numpy())
        self.mean, self.decoder = (torch.as_tensor(part).to(x) for part in (found.mean_, found.components_))
        self.encoder = self.decoder.T.contiguous()


class RandomProjection(LinearCode):
    """Random orthonormal directions with the best linear decoder: a code that nothing was learnt for."""

    role: ClassVar[Role] = "control"

    def fit(self, data: Dataset, *, rng: torch.Generator, progress: Progress) -> None:
        x = data.train.x.flatten(1)
        drawn = torch.randn(self.encoder.shape, generator=rng, device=rng.device).double().to(x.device)
        self.mean = x.mean(dim=0)
        self.encoder = torch.linalg.qr(drawn).Q.to(x)
        codes = self.encode(x)
        self.decoder = torch.linalg.lstsq(codes.double(), (x - self.mean).double()).solution.to(x)
