"""A judge of attributes: one residual network with a head for each attribute, and one for the classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from mfbench import (
    Dataset,
    DataSpec,
    Defense,
    HasFeatures,
    PredictsAttributes,
    Progress,
    Role,
    Unsupported,
    UserError,
)
from mfbench_defenses.labels import class_labels
from mfbench_defenses.randomness import initialise
from mfbench_defenses.residual import ResidualNetwork
from mfbench_defenses.training import shuffled_batches, train


class AttributeCNN(Defense, PredictsAttributes, HasFeatures):
    """The residual network of `cnn` that tells every attribute of an image, by the mean of cross-entropies.

    It is what edits of images are judged by, and an undefended classifier of the data's classes where they
    have some. It sees the training split alone, and none of the methods that it judges.

    `width`, `blocks`, `iterations`, `batch_size`, `learning_rate`: as of `cnn`.
    """

    role: ClassVar[Role] = "control"

    def __init__(
        self,
        width: int = 16,
        blocks: int = 1,
        iterations: int = 1500,
        batch_size: int = 64,
        learning_rate: float = 3e-3,
    ) -> None:
        least = {"width": (width, 1), "blocks": (blocks, 1), "iterations": (iterations, 0)}
        for name, (value, bound) in (least | {"batch_size": (batch_size, 2)}).items():
            if value < bound:
                raise UserError(f"attribute_cnn: {name} = {value}: at least {bound}")
        if not learning_rate > 0:
            raise UserError(f"attribute_cnn: learning_rate = {learning_rate:g}: above 0")
        self.width, self.blocks, self.iterations = width, blocks, iterations
        self.batch_size, self.learning_rate = batch_size, learning_rate

    def build(self, spec: DataSpec) -> None:
        """Unsupported where the data are no images, or have no attributes."""
        if len(spec.shape) != 3:
            raise Unsupported(
                f"attribute_cnn is for images (channels, height, width), not for shape {spec.shape}"
            )
        if not spec.attributes:
            raise Unsupported("attribute_cnn learns attributes, and the data set has none")
        self.spec = spec
        self.classes = spec.classes or 0

    def fit(self, data: Dataset, *, rng: torch.Generator, progress: Progress) -> None:
        attributes = data.train.attributes
        if attributes is None or bool((attributes < 0).any()):
            raise UserError(f"data set {data.name!r}: attribute_cnn needs attributes of values 0, 1, 2, ...")
        network = self._network((attributes.amax(dim=0) + 1).cpu())
        x = data.train.x.to(network.trunk.shift)
        deviation, mean = torch.std_mean(x.double(), correction=0)
        network.trunk.shift.copy_(mean)
        network.trunk.scale.copy_(deviation if deviation > 0 else torch.ones_like(deviation))
        initialise(network, rng)
        network.requires_grad_(True)
        labels = attributes.to(x.device)
        if self.classes:
            labels = torch.cat([labels, class_labels(data, self.classes).to(x.device)[:, None]], dim=1)
        train(
            network,
            shuffled_batches(x, labels, self.batch_size, self.iterations, rng),
            iterations=self.iterations,
            learning_rate=self.learning_rate,
            progress=progress,
        )
        network.eval().requires_grad_(False)

    def _network(self, values: Tensor) -> Heads:
        sizes = [*values.tolist(), *([self.classes] if self.classes else [])]
        with torch.random.fork_rng(devices=[]):  # layers draw when made; `fit` draws again, from its rng
            trunk = ResidualNetwork(self.spec.shape, sum(sizes), width=self.width, blocks=self.blocks)
        self.values = values
        self.network = Heads(trunk, sizes).to(self.spec.device, self.spec.dtype or torch.float32)
        self.network.eval().requires_grad_(False)
        return self.network

    def predict_attributes(self, x: Tensor) -> Tensor:
        return self.network(x).argmax(dim=1)[:, : len(self.values)]

    def logits(self, x: Tensor) -> Tensor:
        """Of the classes; Unsupported where the data have none."""
        if not self.classes:
            raise Unsupported("attribute_cnn was trained on data without classes: it has no logits of them")
        logits: Tensor = self.network.trunk(x)[:, -self.classes :]
        return logits

    def features(self, x: Tensor) -> Tensor:
        return self.network.trunk.features(x)

    def state_dict(self) -> Mapping[str, Tensor | int | float | str]:
        return {"values": self.values, **self.network.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        weights = dict(state)
        self._network(weights.pop("values").cpu()).load_state_dict(weights)


class Heads(nn.Module):
    """x -> (n, most, heads): head h has `sizes[h]` logits in its column, and minus infinity below them."""

    def __init__(self, trunk: ResidualNetwork, sizes: list[int]) -> None:
        super().__init__()
        self.trunk = trunk
        self.sizes = sizes

    def forward(self, x: Tensor) -> Tensor:
        most = max(self.sizes)
        parts = self.trunk(x).split(self.sizes, dim=1)
        filled = [nn.functional.pad(part, (0, most - part.shape[1]), value=-torch.inf) for part in parts]
        return torch.stack(filled, dim=2)
