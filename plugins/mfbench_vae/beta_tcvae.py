"""beta-TCVAE (Chen et al. 2018)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from mfbench_vae.arguments import at_least
from mfbench_vae.posterior import Posterior, total_correlation
from mfbench_vae.training import Batch
from mfbench_vae.vae import Variational


@dataclass(kw_only=True, eq=False)
class BetaTCVAE(Variational):
    """E_q[-log p(x | z)] + KL(q(z | x) || N(0, I)) + (beta - 1) TC(q(z)).

    Chen et al.'s Eq. 4 with alpha = gamma = 1. TC is estimated by minibatch stratified sampling, with the
    weights as the paper means them: see `posterior.stratified_log_weights`.
    """

    latent: int = 10
    beta: float = 6.0

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self._registered, 0, beta=self.beta)

    def penalty(self, q: Posterior, z: Tensor, batch: Batch) -> Tensor:
        correlation = total_correlation(q.pairwise_log_prob(z), batch.count)
        return q.divergence().sum(1).mean() + (self.beta - 1) * correlation
