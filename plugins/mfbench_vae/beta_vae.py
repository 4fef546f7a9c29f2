"""beta-VAE (Higgins et al. 2017)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from mfbench_vae.arguments import at_least, within
from mfbench_vae.posterior import Posterior
from mfbench_vae.training import Batch
from mfbench_vae.vae import Variational


@dataclass(kw_only=True, eq=False)
class BetaVAE(Variational):
    """E_q[-log p(x | z)] + beta KL(q(z | x) || N(0, I)); beta grows over the first `warm_up` of training."""

    latent: int = 10
    beta: float = 4.0
    warm_up: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self._registered, 0, beta=self.beta)
        within(self._registered, 0, 1, warm_up=self.warm_up)

    def penalty(self, q: Posterior, z: Tensor, batch: Batch) -> Tensor:
        return warmed(self.beta, self.warm_up, batch) * q.divergence().sum(1).mean()


def warmed(weight: float, warm_up: float, batch: Batch) -> float:
    """The weight, or less of it in proportion during the first `warm_up` of the training."""
    return weight if batch.done >= warm_up else weight * batch.done / warm_up
