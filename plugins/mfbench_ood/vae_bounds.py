"""Two lower bounds of a variational autoencoder's log-density (Kingma and Welling 2014; Burda et al. 2016).

With w_k = p(x | z_k) p(z_k) / q(z_k | x), z_k ~ q(. | x),

    ELBO = E log w <= E log (1/K sum_k w_k) <= log p(x) = log integral p(x | z) N(z; 0, I) dz.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from mfbench import DataSpec, HasELBO, Likelihood, Ref, UserError
from mfbench_ood.randomness import noise_like, required
from mfbench_ood.vae import ConvVAE


def require_vae(generator: Any, who: str) -> None:
    """UserError unless `generator` is a variational autoencoder of this plugin."""
    if not isinstance(generator, ConvVAE):
        raise UserError(f"{who}: generator = {generator!r}; the variational autoencoder conv_vae is needed")


class _Bound(Likelihood, HasELBO):
    """`samples` codes a sample; `chunk` samples at a time."""

    bound: ClassVar[Literal["exact", "lower", "score"]] = "lower"

    def __init__(self, generator: Any, samples: int, chunk: int) -> None:
        if samples < 1:
            raise UserError(f"{type(self).__name__}: samples = {samples}: at least 1")
        self.generator = generator
        self.samples = samples
        self.chunk = chunk

    def build(self, spec: DataSpec) -> None:
        require_vae(self.generator, type(self).__name__)

    @torch.no_grad()
    def log_prob(self, x: Tensor, *, rng: torch.Generator | None = None) -> Tensor:
        return torch.cat([self.elbo(part, rng=rng) for part in torch.split(x, self.chunk)])


class EvidenceLowerBound(_Bound):
    """The ELBO, in nats: the mean of log p(x | z) over `samples` codes, less the exact KL to the prior.

    `elbo` is the same with gradients in x. Under "discretised_logistic" they reach x through the code alone,
    since that law is constant within a grey level.
    """

    def __init__(self, generator: Ref = "conv_vae", samples: int = 8, chunk: int = 512) -> None:
        super().__init__(generator, samples, chunk)

    def elbo(self, x: Tensor, *, rng: torch.Generator | None = None) -> Tensor:
        rng, q = required(rng), self.generator.posterior(x)
        draws = [self.generator.elbo_at(x, q, noise_like(q.mean, rng)) for _ in range(self.samples)]
        return torch.stack(draws).mean(0)


class ImportanceWeightedBound(_Bound):
    """The log-mean-exp of `samples` importance weights, in nats: the tighter, the more samples."""

    def __init__(self, generator: Ref = "conv_vae", samples: int = 64, chunk: int = 512) -> None:
        super().__init__(generator, samples, chunk)

    def elbo(self, x: Tensor, *, rng: torch.Generator | None = None) -> Tensor:
        rng, q = required(rng), self.generator.posterior(x)
        weights = [self.generator.log_weight(x, q, noise_like(q.mean, rng)) for _ in range(self.samples)]
        return torch.stack(weights).logsumexp(0) - math.log(self.samples)
