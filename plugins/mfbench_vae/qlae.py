"""Quantised latent autoencoder: disentanglement via latent quantisation (Hsu et al. 2023)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from mfbench_vae.arguments import at_least
from mfbench_vae.quantised import Quantised, straight_through
from mfbench_vae.training import Batch


@dataclass(kw_only=True, eq=False)
class QLAE(Quantised):
    """An autoencoder whose dimensions each have `levels` learned values, with strong weight decay.

    The nearest value stands for the encoder's output, straight through. quantisation, commitment: weights of
    the squared distances that move the value to the output, and the output to the value, beside the mean
    cross-entropy of a pixel (here all three times the number of pixels: nats an image). Decay is of encoder
    and decoder, by AdamW. Values begin evenly in [-1/2, 1/2], outputs uncorrelated over them.
    """

    quantisation: float = 0.01
    commitment: float = 0.01
    weight_decay: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self._registered, 2, levels=self.levels)
        named = {"quantisation": self.quantisation, "commitment": self.commitment}
        at_least(self._registered, 0, weight_decay=self.weight_decay, **named)

    @property
    def codebook(self) -> Codebook:
        return cast(Codebook, self.networks["codebook"])

    @property
    def decay(self) -> float:
        return self.weight_decay

    def make_networks(self) -> nn.ModuleDict:
        networks = super().make_networks()
        networks["codebook"] = Codebook(self.latent, self.levels)
        return networks

    def prepare(self, x: Tensor) -> None:
        one = x.new_ones(self.latent)
        self.spread(x, 0 * one, one / 12**0.5)

    def codes(self, outputs: Tensor) -> Tensor:
        values: Tensor = self.codebook(self.codebook.index(outputs))
        return values

    def objective(self, batch: Batch) -> Tensor:
        outputs = self.networks["encoder"](batch.seen)
        z = self.codes(outputs)
        errors = self.reconstruction(self.decoded(straight_through(z, outputs)), batch.x).mean()
        distance = self.quantisation * mse_loss(z, outputs.detach())
        distance = distance + self.commitment * mse_loss(outputs, z.detach())
        return errors + batch.x[0].numel() * distance

    @torch.no_grad()
    def symbols(self, x: Tensor) -> Tensor:
        """The number of each dimension's value, from 0, by size."""
        rank = self.codebook.values.argsort(dim=1).argsort(dim=1)
        index = self.codebook.index(self.encode(x))
        return rank[torch.arange(len(rank), device=x.device), index]


class Codebook(nn.Module):
    """`levels` values for each of `latent` dimensions."""

    def __init__(self, latent: int, levels: int) -> None:
        super().__init__()
        self.values = nn.Parameter(torch.linspace(-0.5, 0.5, levels).repeat(latent, 1))

    def index(self, outputs: Tensor) -> Tensor:
        """(n, d) int64: the nearest value of each dimension."""
        return (outputs.detach()[:, :, None] - self.values.detach()).abs().argmin(dim=2)

    def forward(self, index: Tensor) -> Tensor:
        """The values (n, d) of these numbers."""
        return self.values[torch.arange(len(self.values), device=index.device), index]
