"""Optional abilities: small mixins that a protocol asks for with isinstance."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from mfbench.contracts.attack import Threat
    from mfbench.contracts.dataset import Dataset


class Reconstructor(ABC):
    """Can give an image back from its code."""

    @abstractmethod
    def reconstruct(self, x: Tensor, level: int) -> Tensor:
        """x through the code of the given level."""


class SuperResolver(ABC):
    """Can add the detail that a small image lacks."""

    @abstractmethod
    def super_resolve(
        self, x_low: Tensor, from_level: int, temperature: float, *, rng: torch.Generator
    ) -> Tensor:
        """Full-size images whose downsampled version is x_low, with z ~ N(0, temperature^2 I)."""


class HasELBO(ABC):
    """Has an evidence lower bound."""

    @abstractmethod
    def elbo(self, x: Tensor, *, rng: torch.Generator | None = None) -> Tensor:
        """(n,) nats, differentiable in x."""


class Certifies(ABC):
    """Can prove an answer safe against a threat."""

    @abstractmethod
    def certify(self, x: Tensor, y: Tensor, threat: Threat) -> Tensor:
        """(n,) bool: no attack within the threat changes the answer from y."""


class KnowsOutliers(ABC):
    """Is shown the out-distribution set as well: what makes a score the best possible (`oracle_bayes`)."""

    @abstractmethod
    def score_against(self, x: Tensor, outliers: Dataset, *, rng: torch.Generator | None = None) -> Tensor:
        """(n,) scores that separate the in-distribution set from this one set; higher = in-distribution."""


class EstimatesDimension(ABC):
    """Can say how many dimensions the data have around a point: the local intrinsic dimension."""

    @abstractmethod
    def intrinsic_dimension(self, x: Tensor, *, rng: torch.Generator | None = None) -> Tensor:
        """(n,) estimates, real-valued, of the dimension of the data's support at x, points of data space."""


class HasFeatures(ABC):
    """Has a feature space in which images are compared by what they show."""

    @abstractmethod
    def features(self, x: Tensor) -> Tensor:
        """(n, d), deterministic: what the last layer of a classifier sees of the images x."""
