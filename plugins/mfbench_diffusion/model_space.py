"""From data space to the space in which a noise predictor works, with what that costs a log-density."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from mfbench import DiffusionLikelihood, DiffusionModel, NoisePredictor, UserError


class ModelSpaceLikelihood(DiffusionLikelihood):
    """Where the two diffusion likelihoods take their predictor from, and the change of variables around it.

    `predictor` is `generator`'s until one is assigned. The generator's `to_model` stays in force then (a
    counter may be wrapped around its predictor); without a generator, model space is data space.
    """

    def __init__(self, generator: Any) -> None:
        self.generator = generator
        self._assigned: NoisePredictor | None = None

    @property
    def predictor(self) -> NoisePredictor:
        """The noise predictor in force (UserError where there is none)."""
        if self._assigned is not None:
            return self._assigned
        if not isinstance(self.generator, DiffusionModel):
            raise UserError(
                f"generator = {self.generator!r}: a diffusion likelihood reads a diffusion model, "
                "or a predictor assigned to it"
            )
        return self.generator.predictor

    @predictor.setter
    def predictor(self, predictor: NoisePredictor) -> None:
        self._assigned = predictor

    def to_model(self, x: Tensor) -> tuple[Tensor, float]:
        """x in model space, and log |d model / d data| in nats."""
        if not isinstance(self.generator, DiffusionModel):
            return x, 0.0
        return self.generator.to_model(x), log_determinant(self.generator, x)


def log_determinant(generator: DiffusionModel, x: Tensor) -> float:
    """log |det| of the affine map `to_model` for samples of x's shape, in float64.

    Its matrix is read off the unit vectors, unless it turns out to act on each coordinate by itself.
    """
    zero = x.new_zeros((1, *x.shape[1:]), dtype=torch.float64)
    origin = generator.to_model(zero)
    diagonal = generator.to_model(zero + 1) - origin
    probe = torch.linspace(-1, 1, zero.numel(), dtype=torch.float64, device=x.device).view_as(zero)
    if torch.allclose(generator.to_model(probe) - origin, diagonal * probe, rtol=1e-9, atol=1e-12):
        return float(diagonal.abs().log().sum())
    units = torch.eye(zero.numel(), dtype=torch.float64, device=x.device).view(-1, *x.shape[1:])
    logarithm: float = torch.linalg.slogdet((generator.to_model(units) - origin).flatten(1)).logabsdet.item()
    return logarithm


def standard_normal(x: Tensor) -> Tensor:
    """log N(x; 0, I) in nats, (n,) float64."""
    flat = x.flatten(1)
    return -flat.double().square().sum(1) / 2 - flat.shape[1] / 2 * math.log(2 * math.pi)
