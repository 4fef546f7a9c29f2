"""A small convolutional variational autoencoder (Kingma and Welling 2014).

p(x) = integral p(x | z) N(z; 0, I) dz is a density of data space: `pixels` are normalised laws on pixel
values, with their constants. Two bounds of it are likelihoods of their own (`vae_elbo`, `vae_iwae`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor

from mfbench import Dataset, DataSpec, GenerativeModel, Progress, UserError
from mfbench_ood.autoencoder import Autoencoder, Decoder, Encoder
from mfbench_ood.images import require_images
from mfbench_ood.pixels import LAWS
from mfbench_ood.posterior import Posterior, log_standard_normal
from mfbench_ood.randomness import noise_like, required, seed_from


class ConvVAE(GenerativeModel):
    """Two halvings of the image, `latent` codes, trained on the one-sample ELBO by Adam with a cosine decay.

    `pixels`: p(x | z). "discretised_logistic" and "continuous_bernoulli" are densities on [0, 1]^D,
    "gaussian" is one on R^D. `width`: channels at full size, doubled at each halving.
    """

    def __init__(
        self,
        pixels: Literal["discretised_logistic", "continuous_bernoulli", "gaussian"] = "discretised_logistic",
        latent: int = 32,
        width: int = 16,
        iterations: int = 5000,
        batch_size: int = 128,
        learning_rate: float = 1e-3,
    ) -> None:
        for key, value, least in (("latent", latent, 1), ("width", width, 1), ("batch_size", batch_size, 1)):
            if value < least:
                raise UserError(f"conv_vae: {key} = {value}: at least {least}")
        self.pixels = pixels
        self.latent = latent
        self.width = width
        self.iterations = iterations
        self.batch_size = batch_size
        self.learning_rate = learning_rate

    def build(self, spec: DataSpec) -> None:
        require_images(spec.shape, "conv_vae")
        self.shape = spec.shape
        self._use(self.make_networks(seed=0).to(spec.device, spec.dtype))

    def make_networks(self, seed: int) -> Autoencoder:
        """New networks on the CPU in float32, their weights drawn from `seed` alone."""
        law = LAWS[self.pixels]()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            encoder = Encoder(self.shape, self.latent, self.width)
            decoder = Decoder(self.shape, self.latent, self.width, law.parameters_per_value)
        return Autoencoder(encoder, decoder, law)

    def _use(self, networks: Autoencoder) -> None:
        self.networks = networks.eval().requires_grad_(False)

    def fit(self, data: Dataset, *, rng: torch.Generator, progress: Progress) -> None:
        x = data.train.x
        networks = self.make_networks(seed_from(rng)).to(x)
        self.networks = networks.train()
        optimiser = torch.optim.Adam(networks.parameters(), lr=self.learning_rate)
        decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(1, self.iterations))
        for done in range(self.iterations):
            rows = torch.randint(len(x), (self.batch_size,), generator=rng, device=rng.device)
            loss = -self.elbo(x[rows], rng=rng).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            decay.step()
            progress(done + 1, self.iterations)
        self._use(networks)

    def posterior(self, x: Tensor) -> Posterior:
        """q(z | x) of the encoder."""
        return Posterior(*self.networks.encoder(x))

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x | z), (n,) nats, for x (n, c, h, w) and z (n, latent)."""
        return self.networks.law.log_prob(self.networks.decoder(z), x)

    def elbo(
        self, x: Tensor, *, rng: torch.Generator | None = None, posterior: Posterior | None = None
    ) -> Tensor:
        """E_q log p(x | z) - KL(q || N(0, I)), (n,) nats: one draw of the first term, the second exact.

        `posterior`: q, by default the encoder's.
        """
        q = self.posterior(x) if posterior is None else posterior
        return self.elbo_at(x, q, noise_like(q.mean, required(rng)))

    def elbo_at(self, x: Tensor, q: Posterior, noise: Tensor) -> Tensor:
        """The same for given `noise` (n, latent)."""
        return self.log_likelihood(x, q.at(noise)) - q.divergence()

    def log_weight(self, x: Tensor, q: Posterior, noise: Tensor) -> Tensor:
        """log p(x | z) + log p(z) - log q(z | x) at z = q.at(noise), (n,) nats."""
        z = q.at(noise)
        return self.log_likelihood(x, z) + log_standard_normal(z) - q.log_prob(noise)

    @torch.no_grad()
    def sample(self, count: int, *, rng: torch.Generator) -> Tensor:
        parameter = next(self.networks.parameters())
        shape = (count, self.latent)
        z = torch.randn(shape, generator=rng, dtype=parameter.dtype, device=parameter.device)
        return self.networks.law.sample(self.networks.decoder(z), rng)

    def state_dict(self) -> Mapping[str, Tensor]:
        return self.networks.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.networks.load_state_dict(state)
        self._use(self.networks)
