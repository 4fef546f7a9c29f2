"""FactorVAE (Kim and Mnih 2018)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from mfbench_vae.arguments import at_least
from mfbench_vae.posterior import Posterior
from mfbench_vae.randomness import permutation
from mfbench_vae.training import Batch
from mfbench_vae.vae import Variational

_UNITS = 256


@dataclass(kw_only=True, eq=False)
class FactorVAE(Variational):
    """E_q[-log p(x | z)] + KL(q(z | x) || N(0, I)) + gamma TC(q(z)), the last by a density ratio.

    A discriminator tells codes z from codes whose dimensions were exchanged between images, each on its own
    (Kim and Mnih's algorithm 2, each half of a batch in the role of one of their two batches).
    """

    latent: int = 10
    gamma: float = 10.0

    adversarial: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self._registered, 0, gamma=self.gamma)
        at_least(self._registered, 2, batch_size=self.batch_size)

    def make_critics(self, attributes: Tensor | None) -> nn.ModuleDict:
        sizes = [self.latent, _UNITS, _UNITS, _UNITS]
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(sizes):
            layers += [nn.Linear(inputs, outputs), nn.LeakyReLU(0.2)]
        return nn.ModuleDict({"discriminator": nn.Sequential(*layers, nn.Linear(_UNITS, 2))})

    def penalty(self, q: Posterior, z: Tensor, batch: Batch) -> Tensor:
        return q.divergence().sum(1).mean()

    def loss(self, batch: Batch) -> Tensor:
        q, z = self.drawn(batch)
        own = self.reconstruction(self.decoded(z), batch.x).mean() + self.penalty(q, z, batch)
        real, permuted = self.critics["discriminator"](z).unbind(1)
        return cast(Tensor, own + self.gamma * (real - permuted).mean())

    def critic_loss(self, batch: Batch) -> Tensor:
        with torch.no_grad():
            first, second = self.drawn(batch)[1].tensor_split(2)
        codes = torch.cat([first, permuted_dimensions(second, batch.rng)])
        told = torch.cat([first.new_zeros(len(first)), first.new_ones(len(second))]).long()
        return cross_entropy(self.critics["discriminator"](codes), told)


def permuted_dimensions(z: Tensor, rng: torch.Generator) -> Tensor:
    """Codes (n, d) with each dimension in a random order of its own over the images."""
    orders = [permutation(len(z), rng) for _ in range(z.shape[1])]
    return z.gather(0, torch.stack(orders, dim=1).to(z.device))
