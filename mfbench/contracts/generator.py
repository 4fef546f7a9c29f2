"""Generative models, and the diffusion models that samplers and diffusion likelihoods build on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mfbench.contracts.method import Method, Progress

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from mfbench.contracts.dataset import Dataset
    from mfbench.contracts.noise import NoisePredictor


class GenerativeModel(Method):
    """Learns a distribution and draws from it (kind "generator")."""

    def fit(self, data: Dataset, *, rng: torch.Generator, progress: Progress) -> None:
        """Fit to `data.train` (`data.val` may guide it; the test split is not there)."""
        raise NotImplementedError

    def sample(self, count: int, *, rng: torch.Generator) -> Tensor:
        """`count` samples in data space."""
        raise NotImplementedError


class DiffusionModel(GenerativeModel):
    """A generator with a noise predictor, in a model space of zero mean and about unit scale.

    `predictor` must be assignable: the bench wraps it to count evaluations.
    """

    predictor: NoisePredictor

    def to_model(self, x: Tensor) -> Tensor:
        """Data space to model space: affine; its log-determinant enters every log-density."""
        raise NotImplementedError

    def to_data(self, x: Tensor) -> Tensor:
        """Model space to data space: the inverse of `to_model`."""
        raise NotImplementedError
