"""A code that both draws the image and says its class (Tu et al. 2023, Eq. 29).

    min E[-ELBO(x) + lambda CE(h_psi(z), y)],   z ~ q(z | x)

With p(x | z) = N(g(z), v I): ELBO = E_q[-|x - g(z)|^2 / (2 v)] - (D / 2) log(2 pi v) - KL(q || N(0, I)), in
nats of data space. v = 1/2 makes that the summed squared error of the authors' code.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from mfbench import Dataset, DataSpec, Defense, HasELBO, HasFeatures, Progress, Reconstructor, Role
from mfbench_defenses.arguments import classes_of_images, require_above, require_at_least, required
from mfbench_defenses.joint_network import JointNetwork
from mfbench_defenses.labels import class_labels
from mfbench_defenses.randomness import initialise
from mfbench_defenses.training import shuffled_batches

QUANTILES = 1001
"""Of the clean objective, kept with the weights: 0, 0.001, ..., 1."""
_BATCH = 256
_CALIBRATED = 2000
"""Validation images, at most, of which those are."""
_PROGRESS_EVERY = 20


class JointModel(Defense, Reconstructor, HasFeatures):
    """Encoder, decoder and the classifier between them, undefended: what purifiers purify with.

    `objective` is what purification raises. Its quantiles on the validation split are kept.
    """

    role: ClassVar[Role] = "control"
    who: ClassVar[str]

    def __init__(
        self,
        latent: int,
        width: int,
        weight: float,
        iterations: int,
        batch_size: int,
        learning_rate: float,
        coarse: bool,
    ) -> None:
        require_at_least(self.who, 1, latent=latent, width=width)
        require_at_least(self.who, 2, batch_size=batch_size)
        require_at_least(self.who, 0, weight=weight, iterations=iterations)
        require_above(self.who, 0, learning_rate=learning_rate)
        self.latent = latent
        self.width = width
        self.weight = weight
        self.iterations = iterations
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.coarse = coarse

    def build(self, spec: DataSpec) -> None:
        """Unsupported where the data are no images, or have no classes."""
        self.classes = classes_of_images(spec, self.who)
        with torch.random.fork_rng(devices=[]):  # layers draw when made; `fit` draws again, from its rng
            network = JointNetwork(
                spec.shape, self.classes, latent=self.latent, width=self.width, coarse=self.coarse
            )
        dtype = spec.dtype or torch.float32
        self._use(network.to(spec.device, dtype))
        self.quantiles = torch.zeros(QUANTILES, device=spec.device, dtype=dtype)

    def _use(self, network: JointNetwork) -> None:
        self.network = network.eval().requires_grad_(False)

    def fit(self, data: Dataset, *, rng: torch.Generator, progress: Progress) -> None:
        network = self.network
        x = data.train.x.to(network.shift)
        y = class_labels(data, self.classes).to(x.device)
        deviation, mean = torch.std_mean(x.double(), correction=0)
        network.shift.copy_(mean)
        network.scale.copy_(deviation if deviation > 0 else torch.ones_like(deviation))
        initialise(network, rng)
        self._train(x, y, rng, progress)
        self._use(network)
        self.quantiles = self._clean_quantiles(data.val.x[:_CALIBRATED].to(x))

    def _train(self, x: Tensor, y: Tensor, rng: torch.Generator, progress: Progress) -> None:
        network = self.network.train().requires_grad_(True)
        optimizer = torch.optim.Adam(network.parameters(), lr=self.learning_rate, fused=True)
        decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(1, self.iterations))
        batches = shuffled_batches(x, y, self.batch_size, self.iterations, rng)
        for done, (images, labels) in enumerate(batches, 1):
            loss = self.loss(images, labels, rng).mean()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            decay.step()
            if done % _PROGRESS_EVERY == 0 or done == self.iterations:
                progress(done, self.iterations)

    def loss(self, x: Tensor, y: Tensor, rng: torch.Generator) -> Tensor:
        """(n,): what training lowers."""
        raise NotImplementedError

    def objective(self, x: Tensor, noise: Tensor | None = None) -> Tensor:
        """(n,), differentiable in x: what purification raises, at code mean + std * noise (None: at the
        mean).
        """
        raise NotImplementedError

    @torch.no_grad()
    def _clean_quantiles(self, x: Tensor) -> Tensor:
        found = torch.cat([self.objective(part) for part in torch.split(x, _BATCH)])
        levels = torch.linspace(0, 1, QUANTILES, device=x.device, dtype=x.dtype)
        return found.quantile(levels)

    def clean_quantile(self, level: float) -> float:
        """The objective that a share `level` of the validation images does not reach."""
        return float(self.quantiles[round(level * (QUANTILES - 1))])

    def logits(self, x: Tensor) -> Tensor:
        """h_psi at the code's mean."""
        return self.network.classify(self.features(x))

    def features(self, x: Tensor) -> Tensor:
        """(n, latent): the codes' means."""
        return self.network.encode(x)[0]

    def reconstruct(self, x: Tensor, level: int = 0) -> Tensor:
        """x through its code's mean; there is one level."""
        return self.network.decode(self.features(x))

    def state_dict(self) -> Mapping[str, Tensor | int | float | str]:
        network = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        return {**network, "quantiles": self.quantiles}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        prefix = "network."
        weights = {n.removeprefix(prefix): v for n, v in state.items() if n.startswith(prefix)}
        self.network.load_state_dict(weights)
        self.quantiles = state["quantiles"]
        self._use(self.network)


class JointVAE(JointModel, HasELBO):
    """The variational autoencoder of Eq. 29, undefended.

    `weight`: lambda, of the cross-entropy of one image; `variance`: v, of p(x | z). `latent` numbers a code;
    `width`: channels at full size; `iterations`: steps of Adam on `batch_size` images, the rate falling from
    `learning_rate` to 0 as a cosine; `coarse`: as of `JointNetwork`, for small budgets.
    """

    who: ClassVar[str] = "joint_vae"

    def __init__(
        self,
        latent: int = 64,
        width: int = 16,
        weight: float = 8.0,
        variance: float = 0.5,
        iterations: int = 3000,
        batch_size: int = 64,
        learning_rate: float = 2e-3,
        coarse: bool = False,
    ) -> None:
        super().__init__(latent, width, weight, iterations, batch_size, learning_rate, coarse)
        require_above(self.who, 0, variance=variance)
        self.variance = variance

    def loss(self, x: Tensor, y: Tensor, rng: torch.Generator) -> Tensor:
        mean, log_std = self.network.encode(x)
        z = mean + log_std.exp() * _noise(mean, rng)
        wrong = cross_entropy(self.network.classify(z), y, reduction="none")
        return self.weight * wrong - self._elbo(x, z, mean, log_std)

    def objective(self, x: Tensor, noise: Tensor | None = None) -> Tensor:
        """The ELBO with its first term at that one code: no bound at the mean, but a smooth stand-in."""
        mean, log_std = self.network.encode(x)
        z = mean if noise is None else mean + log_std.exp() * noise
        return self._elbo(x, z, mean, log_std)

    def elbo(self, x: Tensor, *, rng: torch.Generator | None = None) -> Tensor:
        """One draw of the first term, the second exact."""
        return self.objective(x, self.noise_for(x, required(rng)))

    def noise_for(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """Standard normal noise for the codes of x, (n, latent)."""
        shape = (len(x), self.latent)
        return torch.randn(shape, generator=rng, device=x.device, dtype=x.dtype)

    def _elbo(self, x: Tensor, z: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
        squares = (x - self.network.decode(z)).square().flatten(1).sum(1)
        constant = x[0].numel() / 2 * math.log(2 * math.pi * self.variance)
        divergence = ((2 * log_std).exp() + mean.square() - 1 - 2 * log_std).sum(1) / 2
        return -squares / (2 * self.variance) - constant - divergence


class JointAutoencoder(JointModel):
    """The same network as a plain autoencoder: min |x - g(z)|^2 + weight CE(h(z), y), z the code itself."""

    who: ClassVar[str] = "joint_autoencoder"

    def __init__(
        self,
        latent: int = 64,
        width: int = 16,
        weight: float = 8.0,
        iterations: int = 3000,
        batch_size: int = 64,
        learning_rate: float = 2e-3,
        coarse: bool = False,
    ) -> None:
        super().__init__(latent, width, weight, iterations, batch_size, learning_rate, coarse)

    def loss(self, x: Tensor, y: Tensor, rng: torch.Generator) -> Tensor:
        z = self.features(x)
        wrong = cross_entropy(self.network.classify(z), y, reduction="none")
        return self.weight * wrong + (x - self.network.decode(z)).square().flatten(1).sum(1)

    def objective(self, x: Tensor, noise: Tensor | None = None) -> Tensor:
        """Minus the summed squared error of the reconstruction."""
        return -(x - self.reconstruct(x)).square().flatten(1).sum(1)


def _noise(like: Tensor, rng: torch.Generator) -> Tensor:
    return torch.randn(like.shape, generator=rng, device=like.device, dtype=like.dtype)
