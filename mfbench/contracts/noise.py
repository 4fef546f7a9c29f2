"""The noise schedule and the noise predictor: what a diffusion model, a sampler and an oracle share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor


class NoiseSchedule(Protocol):
    """Variance-preserving noise: x_t = sqrt(abar(t)) x_0 + sqrt(1 - abar(t)) eps, t = k / T in [0, 1]."""

    num_steps: int
    """T."""

    def alpha_bar(self, t: Tensor) -> Tensor:
        """abar at times t in [0, 1], same shape: decreasing, alpha_bar(0) = 1."""
        ...


class NoisePredictor(Protocol):
    """The network: predicts the noise eps in x_t, in model space."""

    schedule: NoiseSchedule

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        """eps for x of shape (n, ...) at times t of shape (n,), real values in [0, 1]; the shape of x."""
        ...
