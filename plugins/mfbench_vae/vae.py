"""The variational autoencoder (Kingma and Welling 2014), and what its descendants share."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mfbench_vae.autoencoder import Autoencoder
from mfbench_vae.posterior import Posterior
from mfbench_vae.randomness import normal_like
from mfbench_vae.training import Batch


@dataclass(kw_only=True, eq=False)
class Variational(Autoencoder):
    """Base of the methods whose code is a Gaussian q(z | x), dimension by dimension; `encode` its mean."""

    def make_networks(self) -> nn.ModuleDict:
        encoder = self.new_encoder(2 * self.latent, blocks=2)
        return nn.ModuleDict({"encoder": encoder, "decoder": self.new_decoder(self.latent)})

    def codes(self, outputs: Tensor) -> Tensor:
        return Posterior.of(outputs).mean

    def posterior(self, x: Tensor) -> Posterior:
        """q(z | x) of the encoder."""
        return Posterior.of(self.networks["encoder"](x))

    def drawn(self, batch: Batch) -> tuple[Posterior, Tensor]:
        """q(z | x) and one draw z (n, d) of it, differentiable."""
        q = self.posterior(batch.seen)
        return q, q.at(normal_like(q.mean, batch.rng))

    def objective(self, batch: Batch) -> Tensor:
        q, z = self.drawn(batch)
        return self.reconstruction(self.decoded(z), batch.x).mean() + self.penalty(q, z, batch)

    def penalty(self, q: Posterior, z: Tensor, batch: Batch) -> Tensor:
        """What is added to the reconstruction error, a number."""
        raise NotImplementedError


@dataclass(kw_only=True, eq=False)
class VAE(Variational):
    """Minus the ELBO: E_q[-log p(x | z)] + KL(q(z | x) || N(0, I))."""

    latent: int = 10

    def penalty(self, q: Posterior, z: Tensor, batch: Batch) -> Tensor:
        return q.divergence().sum(1).mean()

    def elbo(self, x: Tensor, *, rng: torch.Generator) -> Tensor:
        """(n,) nats, of data space for Gaussian `pixels`: one draw of the first term, the second exact."""
        q = self.posterior(x)
        z = q.at(normal_like(q.mean, rng))
        return self.law.log_prob(self.decoded(z), x) - q.divergence().sum(1)
