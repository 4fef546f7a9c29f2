"""What autoencoders with few values a dimension share: rounding that passes gradients straight through."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from mfbench_vae.autoencoder import Autoencoder


def straight_through(quantised: Tensor, continuous: Tensor) -> Tensor:
    """The quantised values, with the gradient of the continuous ones."""
    return continuous + (quantised - continuous).detach()


@dataclass(kw_only=True, eq=False)
class Quantised(Autoencoder):
    """Base: an encoder of `latent` numbers, each then one of `levels` values."""

    latent: int = 2
    levels: int = 6

    def make_networks(self) -> nn.ModuleDict:
        return nn.ModuleDict(
            {"encoder": self.new_encoder(self.latent), "decoder": self.new_decoder(self.latent)}
        )
