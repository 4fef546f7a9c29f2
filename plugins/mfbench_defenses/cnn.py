"""The undefended classifier: a small residual network trained by cross-entropy on clean images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from mfbench import Dataset, DataSpec, Defense, HasFeatures, Progress, Role, Unsupported, UserError
from mfbench_defenses.labels import class_labels
from mfbench_defenses.randomness import initialise
from mfbench_defenses.residual import ResidualNetwork
from mfbench_defenses.training import mirrored, moved, shuffled_batches, train


class CNN(Defense, HasFeatures):
    """A residual network (He et al. 2016) without any defense, for images from 8 x 8 to about 64 x 64.

    It is a control: what every defense must improve on, and what no defense should be taken for. Its
    features are also those in which generated images are compared with data.

    `width`: channels at full size, doubled twice on the way down; `blocks`: residual blocks of a level.
    `iterations`: the budget, in steps of Adam on `batch_size` images; the rate falls from `learning_rate` to
    0 as a cosine. Off by default: `move`, the most pixels by which training images are moved, and `mirror`,
    whether they are mirrored, half of the time. The weights of the last step are used: no early stopping.
    """

    role: ClassVar[Role] = "control"

    def __init__(
        self,
        width: int = 32,
        blocks: int = 1,
        iterations: int = 2000,
        batch_size: int = 64,
        learning_rate: float = 3e-3,
        move: int = 0,
        mirror: bool = False,
    ) -> None:
        least = {"width": (width, 1), "blocks": (blocks, 1), "iterations": (iterations, 0)}
        least |= {"batch_size": (batch_size, 2), "move": (move, 0)}
        for name, (value, bound) in least.items():
            if value < bound:
                raise UserError(f"cnn: {name} = {value}: at least {bound}")
        if not learning_rate > 0:
            raise UserError(f"cnn: learning_rate = {learning_rate:g}: above 0")
        self.width = width
        self.blocks = blocks
        self.iterations = iterations
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.move = move
        self.mirror = mirror

    def build(self, spec: DataSpec) -> None:
        """Unsupported where the data are no images, or have no classes."""
        if len(spec.shape) != 3:
            raise Unsupported(f"cnn is for images (channels, height, width), not for shape {spec.shape}")
        if not spec.classes:
            raise Unsupported("cnn learns classes, and the data set has none")
        self.classes = spec.classes
        with torch.random.fork_rng(devices=[]):  # layers draw when made; `fit` draws again, from its rng
            network = ResidualNetwork(spec.shape, spec.classes, width=self.width, blocks=self.blocks)
        dtype = spec.dtype or torch.float32
        self.network = network.to(spec.device, dtype)  # channels_last crashes torch's CPU backward at width 8
        self.network.eval().requires_grad_(False)

    def fit(self, data: Dataset, *, rng: torch.Generator, progress: Progress) -> None:
        network = self.network
        x = data.train.x.to(network.shift)
        y = class_labels(data, self.classes).to(x.device)
        deviation, mean = torch.std_mean(x.double(), correction=0)
        network.shift.copy_(mean)
        network.scale.copy_(deviation if deviation > 0 else torch.ones_like(deviation))
        initialise(network, rng)
        network.requires_grad_(True)
        train(
            network,
            self._batches(x, y, rng),
            iterations=self.iterations,
            learning_rate=self.learning_rate,
            progress=progress,
        )
        network.eval().requires_grad_(False)

    def _batches(self, x: Tensor, y: Tensor, rng: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        for images, labels in shuffled_batches(x, y, self.batch_size, self.iterations, rng):
            images = moved(images, self.move, rng)
            yield mirrored(images, rng) if self.mirror else images, labels

    def logits(self, x: Tensor) -> Tensor:
        logits: Tensor = self.network(x)
        return logits

    def features(self, x: Tensor) -> Tensor:
        """(n, d), d = 4 x `width` (2 x for images of at most 8 pixels a side), not negative."""
        return self.network.features(x)

    def state_dict(self) -> Mapping[str, Tensor | int | float | str]:
        return self.network.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.network.load_state_dict(state)
        self.network.eval().requires_grad_(False)
