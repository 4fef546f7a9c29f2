"""The approximate posterior of a code: a Gaussian with independent coordinates."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Posterior:
    """q(z | x) = N(mean, diag(exp(2 log_std))), (n, latent) each."""

    mean: Tensor
    log_std: Tensor

    def at(self, noise: Tensor) -> Tensor:
        """z (n, latent) from noise ~ N(0, I): reparametrised."""
        return self.mean + self.log_std.exp() * noise

    def log_prob(self, noise: Tensor) -> Tensor:
        """log q(z | x), (n,) nats, at z = at(noise)."""
        return log_standard_normal(noise) - self.log_std.sum(1)

    def divergence(self) -> Tensor:
        """KL(q(z | x) || N(0, I)), (n,) nats."""
        variance = (2 * self.log_std).exp()
        return (self.mean.square() + variance - 1 - 2 * self.log_std).sum(1) / 2


def log_standard_normal(z: Tensor) -> Tensor:
    """log N(z; 0, I), (n,) nats, for z (n, latent)."""
    return -(z.square() + math.log(2 * math.pi)).sum(1) / 2
