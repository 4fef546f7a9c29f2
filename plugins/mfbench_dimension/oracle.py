"""What only the data set itself can know. Stateless; `fit` keeps the data set."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor

from mfbench import Dataset, EstimatesDimension, Likelihood, Progress, Role, Unsupported


class OracleDimension(Likelihood, EstimatesDimension):
    """The true dimension at each point; it ranks nothing."""

    role: ClassVar[Role] = "ceiling"
    bound: ClassVar[Literal["exact", "lower", "score"]] = "score"

    def fit(self, data: Dataset, *, rng: torch.Generator, progress: Progress) -> None:
        self.data = data

    def intrinsic_dimension(self, x: Tensor, *, rng: torch.Generator | None = None) -> Tensor:
        return self.data.intrinsic_dimension(x)

    def score(self, x: Tensor, *, rng: torch.Generator | None = None) -> Tensor:
        raise Unsupported("oracle_dimension knows dimensions and ranks nothing")
