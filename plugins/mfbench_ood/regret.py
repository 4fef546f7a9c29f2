"""Likelihood regret (Xiao, Yan and Amit 2020).

    LR(x) = max_q ELBO(x; q) - ELBO(x; q_phi(. | x)):

what the bound gains when the posterior is fitted to this one sample. On seen data the encoder was trained to
leave nothing to gain.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor

from mfbench import DataSpec, Likelihood, Ref, UserError
from mfbench_ood.posterior import Posterior
from mfbench_ood.randomness import noise_like, required
from mfbench_ood.vae_bounds import require_vae


class LikelihoodRegret(Likelihood):
    """-LR(x), in nats, the maximum over the sample's own mean and log-standard-deviation.

    This is the variant that optimises the variational parameters of each sample, from the encoder's output,
    the decoder fixed; the paper's main variant refits a copy of the whole encoder to each sample, which
    reaches the same maximum where the encoder is flexible, and cannot be batched. Here all samples of a
    `chunk` are optimised together and independently: `steps` of Adam on the one-sample ELBO, fresh noise at
    each, with a cosine decay from `learning_rate` to 0. Both ELBOs are then taken with the same `samples`
    draws of noise, so what is common to them cancels.
    """

    bound: ClassVar[Literal["exact", "lower", "score"]] = "score"

    def __init__(
        self,
        generator: Ref = "conv_vae",
        steps: int = 100,
        learning_rate: float = 0.1,
        samples: int = 16,
        chunk: int = 512,
    ) -> None:
        if steps < 1 or samples < 1:
            raise UserError(f"likelihood_regret: steps = {steps}, samples = {samples}: at least 1 each")
        self.generator = generator
        self.steps = steps
        self.learning_rate = learning_rate
        self.samples = samples
        self.chunk = chunk

    def build(self, spec: DataSpec) -> None:
        require_vae(self.generator, "likelihood_regret")

    @torch.no_grad()
    def score(self, x: Tensor, *, rng: torch.Generator | None = None) -> Tensor:
        rng = required(rng)
        return -torch.cat([self._regret(part, rng) for part in torch.split(x, self.chunk)])

    def _regret(self, x: Tensor, rng: torch.Generator) -> Tensor:
        start = self.generator.posterior(x)
        best = self._optimised(x, start, rng)
        gain = torch.zeros(len(x), dtype=x.dtype, device=x.device)
        for _ in range(self.samples):
            noise = noise_like(start.mean, rng)
            gain += self.generator.elbo_at(x, best, noise) - self.generator.elbo_at(x, start, noise)
        return gain / self.samples

    @torch.enable_grad()
    def _optimised(self, x: Tensor, start: Posterior, rng: torch.Generator) -> Posterior:
        """The posterior after `steps` of ascent on its ELBO. Adam works coordinate by coordinate, so samples
        do not disturb each other.
        """
        q = Posterior(*(value.clone().requires_grad_() for value in (start.mean, start.log_std)))
        optimiser = torch.optim.Adam([q.mean, q.log_std], lr=self.learning_rate)
        decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, self.steps)
        for _ in range(self.steps):
            loss = -self.generator.elbo(x, rng=rng, posterior=q).sum()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            decay.step()
        return Posterior(q.mean.detach(), q.log_std.detach())
