"""What all methods of the family share but their objectives: networks, training, restarts, state."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn

from mfbench import Dataset, DataSpec, Disentangler, Progress, Unsupported
from mfbench_vae.arguments import above_zero, at_least
from mfbench_vae.decoders import Decoder, Drawing, make_decoder
from mfbench_vae.distortion import distorted
from mfbench_vae.networks import Encoder, Halves, Network, initialise, make_encoder
from mfbench_vae.pixels import Bernoulli, Gaussian, Pixels, make_law
from mfbench_vae.randomness import weights_from
from mfbench_vae.training import Batch, shuffled_rows, train

ASKED_AT_ONCE = 2048
"""Images encoded or decoded at once, where no gradient is asked for."""


class HasCode(Disentangler):
    """A code of `latent` dimensions: a hyper-parameter of most methods, a matter of the data for others."""

    latent: int


@dataclass(kw_only=True, eq=False)
class Autoencoder(HasCode):
    """Encoder, decoder and an objective, for images.

    network: see `networks`; decoder: see `decoders`; `width` units a layer of an "mlp", `channels` at
    half size of a "conv", doubled with every level. pixels: p(x | z), with `pixel_std` where it is Gaussian.
    iterations: steps of Adam on `batch_size` images, of each of the `restarts`; the restart with the lowest
    `objective` on the validation images is kept, for which no label is read. distortion: in training the
    encoder sees images through random affine maps (at 1 up to a turn of 0.2, a shear of 0.3, a stretch by
    15 % and a shift by a twentieth of the shorter side), and the decoder draws them as they were.
    """

    network: Network = "auto"
    decoder: Drawing = "auto"
    width: int = 512
    channels: int = 16
    pixels: Pixels = "bernoulli"
    pixel_std: float = 0.1
    iterations: int = 4000
    batch_size: int = 128
    learning_rate: float = 1e-3
    restarts: int = 1
    distortion: float = 0.0

    adversarial: ClassVar[bool] = False
    critic_rate: ClassVar[float] = 1e-4
    """Learning rate of critics that have a loss of their own."""

    def __post_init__(self) -> None:
        name = self._registered
        at_least(name, 1, latent=getattr(self, "latent", 1), width=self.width, channels=self.channels)
        at_least(name, 0, iterations=self.iterations, distortion=self.distortion)
        at_least(name, 1, batch_size=self.batch_size, restarts=self.restarts)
        above_zero(name, pixel_std=self.pixel_std, learning_rate=self.learning_rate)
        self.law: Bernoulli | Gaussian = make_law(self.pixels, self.pixel_std)
        self.critics = nn.ModuleDict()

    @property
    def _registered(self) -> str:
        return type(self).__module__.rpartition(".")[2]

    @property
    def decay(self) -> float:
        """Weight decay of encoder and decoder."""
        return 0.0

    # -- what an objective gives --------------------------------------------------------------------------

    def make_networks(self) -> nn.ModuleDict:
        """New "encoder", "decoder" and what else encoding and decoding need."""
        raise NotImplementedError

    def make_critics(self, attributes: Tensor | None) -> nn.ModuleDict:
        """New networks needed for training alone. Those called "heads" are trained by `loss`."""
        return nn.ModuleDict()

    def prepare(self, x: Tensor) -> None:
        """After the networks are made: what depends on training images x."""

    def objective(self, batch: Batch) -> Tensor:
        """What is minimised, without its adversaries and labels: nats an image, a number."""
        raise NotImplementedError

    def loss(self, batch: Batch) -> Tensor:
        """What is minimised by encoder and decoder."""
        return self.objective(batch)

    def critic_loss(self, batch: Batch) -> Tensor:
        """What is minimised by the critics, in turn with `loss`, where `adversarial`."""
        raise NotImplementedError

    def attributes_for(self, data: Dataset, rng: torch.Generator) -> Tensor | None:
        """Attributes (n, k) of the training images that the objective may see, NaN elsewhere."""
        return None

    def rows(self, count: int, attributes: Tensor | None, rng: torch.Generator) -> Iterator[Tensor]:
        """Row numbers of the batches, without end."""
        return shuffled_rows(torch.arange(count, device=rng.device), self.batch_size, rng)

    def codes(self, outputs: Tensor) -> Tensor:
        """(n, d), what `encode` gives for an encoder's outputs."""
        raise NotImplementedError

    def decoded(self, z: Tensor) -> Tensor:
        """The decoder's outputs for codes (n, d) as `encode` gives them."""
        outputs: Tensor = self.networks["decoder"](z)
        return outputs

    # -- the contract -------------------------------------------------------------------------------------

    def build(self, spec: DataSpec) -> None:
        """Unsupported where the data are no images."""
        if len(spec.shape) != 3:
            raise Unsupported(
                f"{self._registered} is for images (channels, height, width), not for shape {spec.shape}"
            )
        self.spec = spec
        self._new_networks(None)
        self._done()

    def fit(self, data: Dataset, *, rng: torch.Generator, progress: Progress) -> None:
        x, attributes = data.train.x, self.attributes_for(data, rng)
        best: tuple[float, Mapping[str, Tensor]] | None = None
        for restart in range(self.restarts):
            self._train(x, attributes, rng, _part(progress, restart, self.restarts))
            if self.restarts == 1:
                return
            reached = self.held_out(data.val.x)
            if best is None or reached < best[0]:
                best = reached, {key: value.clone() for key, value in self.networks.state_dict().items()}
        assert best is not None
        self.networks.load_state_dict(best[1])

    @torch.no_grad()
    def held_out(self, x: Tensor) -> float:
        """The mean `objective` on images x, with the same noise at every call: restarts are chosen by it."""
        rng = torch.Generator(x.device).manual_seed(0)
        size = min(len(x), self.batch_size)
        parts = [part for part in _parts(x, size) if len(part) == size]
        values = [self.objective(Batch(part, None, len(x), 1.0, rng)) for part in parts]
        return float(torch.stack(values).mean())

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        encoder = self.networks["encoder"]
        return torch.cat([self.codes(encoder(part)) for part in _parts(x)])

    @torch.no_grad()
    def decode(self, z: Tensor) -> Tensor:
        return torch.cat([self.law.mean(self.decoded(part)) for part in _parts(z)])

    def state_dict(self) -> Mapping[str, Tensor | int | float | str]:
        return self.networks.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.networks.load_state_dict(state)
        self._done()

    # -- the rest -----------------------------------------------------------------------------------------

    def new_encoder(self, outputs: int, *, blocks: int = 1) -> Encoder | Halves:
        """A new encoder of the family."""
        shape, sizes = self.spec.shape, {"width": self.width, "channels": self.channels}
        return make_encoder(self.network, shape, outputs, blocks=blocks, **sizes)

    def new_decoder(self, inputs: int) -> Decoder:
        """A new decoder of the family."""
        shape, sizes = self.spec.shape, {"width": self.width, "channels": self.channels}
        return make_decoder(self.network, shape, inputs, drawing=self.decoder, **sizes)

    def spread(self, x: Tensor, mean: Tensor, std: Tensor) -> None:
        """Make the encoder's first outputs uncorrelated on x, with this mean and standard deviation (d,)."""
        encoder = cast(Encoder | Halves, self.networks["encoder"])
        encoder.spread(x, mean, std)

    def reconstruction(self, outputs: Tensor, x: Tensor) -> Tensor:
        """-log p(x | z), (n,) nats."""
        return -self.law.log_prob(outputs, x)

    def _new_networks(self, rng: torch.Generator | None, attributes: Tensor | None = None) -> None:
        with weights_from(rng):
            networks, critics = self.make_networks(), self.make_critics(attributes)
            initialise(networks)
        self.networks, self.critics = (
            module.to(self.spec.device, self.spec.dtype).to(memory_format=torch.channels_last)
            for module in (networks, critics)
        )

    def _train(self, x: Tensor, attributes: Tensor | None, rng: torch.Generator, progress: Progress) -> None:
        self._new_networks(rng, attributes)
        first = x[:ASKED_AT_ONCE]
        for module in (*self.networks.modules(), *self.critics.modules()):
            if isinstance(module, Encoder):
                module.standardise(first)
        cast(Decoder, self.networks["decoder"]).start(self.law.outputs(first.mean(0)))
        self.prepare(first)
        train(
            self.networks,
            self.critics,
            self._batches(x, attributes, rng),
            self.loss,
            self.critic_loss if self.adversarial else None,
            iterations=self.iterations,
            optimiser=self._optimiser(),
            critic_rate=self.critic_rate,
            progress=progress,
        )
        self._done()

    def _optimiser(self) -> torch.optim.Optimizer:
        """Adam of the networks and of the critics' heads; `decay` is of encoder and decoder."""
        trained = {name: module for name, module in self.critics.items() if name == "heads"}
        groups = [
            {
                "params": list(module.parameters()),
                "weight_decay": self.decay if name in ("encoder", "decoder") else 0.0,
            }
            for name, module in {**dict(self.networks.items()), **trained}.items()
        ]
        return torch.optim.AdamW(groups, lr=self.learning_rate, fused=True)

    def _batches(self, x: Tensor, attributes: Tensor | None, rng: torch.Generator) -> Iterator[Batch]:
        rows = itertools.islice(self.rows(len(x), attributes, rng), self.iterations)
        for number, chosen in enumerate(rows):
            seen = None if attributes is None else attributes[chosen]
            images = x[chosen]
            other = distorted(images, self.distortion, rng) if self.distortion else None
            yield Batch(images, seen, len(x), number / self.iterations, rng, other)

    def _done(self) -> None:
        """Networks as they are after `fit`: nothing is trained, and nothing for training alone is left."""
        self.networks.eval().requires_grad_(False)
        self.critics = nn.ModuleDict()


def _parts(rows: Tensor, size: int = ASKED_AT_ONCE) -> Iterator[Tensor]:
    """The rows in order, `size` at a time."""
    return (rows[start : start + size] for start in range(0, len(rows), size))


def _part(progress: Progress, number: int, of: int) -> Progress:
    """Progress of one of several trainings of equal length, as progress of all."""
    return lambda done, total: progress(number * total + done, of * total)
