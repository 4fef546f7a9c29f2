"""Samplers: how a noise predictor is turned into samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mfbench.contracts.method import Method

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from mfbench.contracts.noise import NoisePredictor


class Sampler(Method):
    """Carries x at t = 1 to t = 0.

    `evaluations_per_step` is None for adaptive samplers.
    """

    deterministic: ClassVar[bool] = True
    evaluations_per_step: ClassVar[int | None] = 1

    def sample(
        self, predictor: NoisePredictor, x_start: Tensor, *, step: float, rng: torch.Generator | None = None
    ) -> Tensor:
        """x at t = 0, in model space, for x_start ~ N(0, I) at t = 1.

        `step` is h in units of 1/T (DDIM@h; 2.5 is legal): ceil(T/h) steps, the last one shorter.
        `rng` may be None only where `deterministic`.
        """
        raise NotImplementedError
