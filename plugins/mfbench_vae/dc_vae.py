"""DC-VAE: dual contradistinctive generative autoencoder (Parmar et al. 2021)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize, relu, silu
from torch.nn.utils.parametrizations import spectral_norm

from mfbench_vae.arguments import above_zero, at_least
from mfbench_vae.posterior import Posterior
from mfbench_vae.randomness import normal_like
from mfbench_vae.training import Batch
from mfbench_vae.vae import Variational

_FEATURES = 128
_PROJECTED = 16


@dataclass(kw_only=True, eq=False)
class DCVAE(Variational):
    """A VAE without a reconstruction error of pixels: reconstructions must be told for images of their own.

    Set level: a critic with spectral norms tells images from reconstructions and samples (hinge). Instance
    level: in the critic's features, projected to 16 dimensions, the reconstruction of image i must be nearer
    to image i than to the batch's other images (cross-entropy of cosines over `temperature`), which critic
    and autoencoder both lower; the authors have a queue of 8,192 others. The KL to N(0, I) weighs beta.
    Restarts are compared by the ELBO.
    """

    adversarial: ClassVar[bool] = True
    critic_rate: ClassVar[float] = 5e-4

    latent: int = 10
    beta: float = 0.01
    temperature: float = 0.07

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self._registered, 0, beta=self.beta)
        at_least(self._registered, 2, batch_size=self.batch_size)
        above_zero(self._registered, temperature=self.temperature)

    def make_critics(self, attributes: Tensor | None) -> nn.ModuleDict:
        return nn.ModuleDict({"critic": Critic(self.new_encoder(_FEATURES))})

    def penalty(self, q: Posterior, z: Tensor, batch: Batch) -> Tensor:
        return q.divergence().sum(1).mean()

    def loss(self, batch: Batch) -> Tensor:
        critic = self.critics["critic"]
        q, z = self.drawn(batch)
        said, seen = critic(self._images(z))
        adversarial = -(said.mean() + critic(self._sampled(z, batch))[0].mean()) / 2
        contrast = self._contrast(seen, critic(batch.x)[1])
        return cast(Tensor, adversarial + contrast + self.beta * self.penalty(q, z, batch))

    def critic_loss(self, batch: Batch) -> Tensor:
        critic = self.critics["critic"]
        with torch.no_grad():
            z = self.drawn(batch)[1]
            reconstructed, sampled = self._images(z), self._sampled(z, batch)
        (real, own), (fake, seen) = critic(batch.x), critic(reconstructed)
        hinge = relu(1 - real).mean() + (relu(1 + fake).mean() + relu(1 + critic(sampled)[0]).mean()) / 2
        return hinge + self._contrast(seen, own)

    def _images(self, z: Tensor) -> Tensor:
        return self.law.mean(self.decoded(z))

    def _sampled(self, like: Tensor, batch: Batch) -> Tensor:
        return self._images(normal_like(like, batch.rng))

    def _contrast(self, seen: Tensor, own: Tensor) -> Tensor:
        right = torch.arange(len(seen), device=seen.device)
        return cross_entropy(seen @ own.T / self.temperature, right)


class Critic(nn.Module):
    """Images to what is said of them (n,), and to projected features (n, 16) of length 1."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body
        self.says = nn.Linear(_FEATURES, 1)
        self.projects = nn.Linear(_FEATURES, _PROJECTED)
        for layer in [module for module in self.modules() if isinstance(module, nn.Linear | nn.Conv2d)]:
            if layer is not self.projects:
                spectral_norm(layer)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = silu(self.body(x))
        return self.says(features)[:, 0], normalize(self.projects(features), dim=1)
