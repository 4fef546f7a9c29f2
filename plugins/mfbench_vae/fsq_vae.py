"""Finite scalar quantisation (Mentzer et al. 2024)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from mfbench_vae.arguments import at_least
from mfbench_vae.quantised import Quantised, straight_through
from mfbench_vae.training import Batch


@dataclass(kw_only=True, eq=False)
class FSQVAE(Quantised):
    """An autoencoder whose code is bounded by a tanh, then rounded to `levels` whole numbers a dimension.

    The reconstruction error is the whole objective; the rounding passes gradients straight through. Codes are
    the whole numbers 0 to levels - 1. Encoders begin with uncorrelated outputs, as GridVAE's do.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self._registered, 2, levels=self.levels)

    def prepare(self, x: Tensor) -> None:
        one = x.new_ones(self.latent)
        self.spread(x, 0 * one, one)

    def bounded(self, outputs: Tensor) -> Tensor:
        """Encoder's outputs in (-1/2, levels - 1/2), about."""
        half = (self.levels - 1) * (1 + 1e-3) / 2
        offset = 0.0 if self.levels % 2 else 0.5
        return torch.tanh(outputs + math.atanh(offset / half)) * half - offset + self.levels // 2

    def codes(self, outputs: Tensor) -> Tensor:
        return self.bounded(outputs).round()

    def decoded(self, z: Tensor) -> Tensor:
        return super().decoded(2 * z / (self.levels - 1) - 1)

    def objective(self, batch: Batch) -> Tensor:
        bounded = self.bounded(self.networks["encoder"](batch.seen))
        z = straight_through(bounded.round(), bounded)
        return self.reconstruction(self.decoded(z), batch.x).mean()

    def symbols(self, x: Tensor) -> Tensor:
        """The code as int64."""
        return self.encode(x).long()
