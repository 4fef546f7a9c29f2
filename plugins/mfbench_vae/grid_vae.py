"""GridVAE (Tu et al. 2023, section 3) without labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import Tensor, nn

from mfbench import UserError
from mfbench_vae.arguments import above_zero, at_least, within
from mfbench_vae.beta_vae import warmed
from mfbench_vae.grid import Grid
from mfbench_vae.networks import Encoder, Halves
from mfbench_vae.posterior import Posterior, aggregate_log_prob
from mfbench_vae.training import Batch
from mfbench_vae.vae import Variational

SHARPNESS = 1.0
"""Of the first codes of the centres' head: see `GridVariational.begin`."""


@dataclass(kw_only=True, eq=False)
class GridVariational(Variational):
    """Base of the forms of GridVAE: a prior with centres on a grid, rounded codes as symbols.

    head: what gives the means. "linear": the encoder's last layer. "centres": on each axis the mean of its
    centres, weighed by the softmax of outputs of that layer; so means lie within the grid, and no two centres
    are farther from each other than others. On an axis of two centres that would be a sigmoid, which
    saturates, and it is a line (see `Grid.expected`).
    """

    head: Literal["centres", "linear"] = "centres"

    @property
    def grid_prior(self) -> Grid:
        return cast(Grid, self.networks["grid"])

    def make_grid(self) -> Grid:
        """A new prior."""
        raise NotImplementedError

    def make_networks(self) -> nn.ModuleDict:
        grid = self.make_grid()
        blocks = 1 + (grid.centres.shape[1] if self.head == "centres" else 1)
        encoder = self.new_encoder(blocks * self.latent, blocks=blocks)
        return nn.ModuleDict({"encoder": encoder, "decoder": self.new_decoder(self.latent), "grid": grid})

    def codes(self, outputs: Tensor) -> Tensor:
        return self._posterior(outputs).mean

    def posterior(self, x: Tensor) -> Posterior:
        return self._posterior(self.networks["encoder"](x))

    def _posterior(self, outputs: Tensor) -> Posterior:
        if self.head == "linear":
            return Posterior.of(outputs)
        blocks = outputs.unflatten(1, (-1, self.latent))  # type: ignore[no-untyped-call]
        mean = self.grid_prior.expected(blocks[:, :-1])
        return Posterior.of(torch.cat([mean, blocks[:, -1]], dim=1))

    def begin(self, x: Tensor, sharpness: float) -> None:
        """Make means that are uncorrelated on x, and spread over the grid: the wider, the sharper."""
        mean, std = self.grid_prior.moments()
        if self.head == "linear":
            self.spread(x, mean, std)
            return
        self.spread(x, 0 * mean, 0 * std + 1)
        factors = (self.grid_prior.centres - mean[:, None]) / std[:, None]
        factors = sharpness * torch.where(self.grid_prior.used.sum(1, keepdim=True) == 1, 1.0, factors)
        cast(Encoder | Halves, self.networks["encoder"]).repeat(factors.T)

    def symbols(self, x: Tensor) -> Tensor:
        """The message: the place on each axis, from 0, of the centre nearest to the mean."""
        return self.grid_prior.index(self.encode(x))


@dataclass(kw_only=True, eq=False)
class GridVAE(GridVariational):
    """E_q[-log p(x | z)] + beta KL to a mixture of Gaussians at the points of a grid (Eq. 24-28).

    grid: the centres on each of the `latent` axes. prior_std: sigma of each. kl, of Eq. 26: "aggregate", of
    q(z) = E_x q(z | x), estimated from the batch, to the mixture; "conditional", of q(z | x) to the mixture;
    "nearest", of q(z | x) to the one centre nearest to its mean, Eq. 28. beta grows over the first `warm_up`
    of the training. No label is read.

    At the start the last layer of the encoder is changed such that the means are uncorrelated over training
    images, with the mean and the spread of the grid on each axis: no dimension begins on a single centre.
    """

    latent: int = 2
    grid: Sequence[float] = (-2.0, -1.0, 0.0, 1.0, 2.0, 3.0)
    prior_std: float = 1 / 3
    kl: Literal["aggregate", "conditional", "nearest"] = "aggregate"
    beta: float = 1.5
    warm_up: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.grid or list(self.grid) != sorted(set(self.grid)):
            raise UserError(f"grid_vae: grid = {list(self.grid)}: different centres, from low to high")
        above_zero(self._registered, prior_std=self.prior_std)
        at_least(self._registered, 0, beta=self.beta)
        within(self._registered, 0, 1, warm_up=self.warm_up)

    def make_grid(self) -> Grid:
        return Grid([list(self.grid)] * self.latent, self.prior_std)

    def prepare(self, x: Tensor) -> None:
        self.begin(x, SHARPNESS)

    def penalty(self, q: Posterior, z: Tensor, batch: Batch) -> Tensor:
        return warmed(self.beta, self.warm_up, batch) * self.divergence(q, z, batch.count).mean()

    def divergence(self, q: Posterior, z: Tensor, count: int) -> Tensor:
        """(n,) nats, whose mean is the KL of the kind asked for."""
        if self.kl == "nearest":
            return self.grid_prior.nearest_divergence(q).sum(1)
        if self.kl == "conditional":
            return self.grid_prior.divergence(q, z).sum(1)
        joint, _ = aggregate_log_prob(q.pairwise_log_prob(z), count)
        return joint - self.grid_prior.log_prob(z).sum(1)
