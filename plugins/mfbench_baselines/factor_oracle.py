"""The code that is the attributes themselves: the best value of every measure of disentanglement."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from mfbench import Dataset, DataSpec, Disentangler, KnowsAttributes, Progress, Role, Unsupported

RIDGE = 1e-2
"""Penalty of the regressions, in units of the mean square of a regressor."""


class OracleFactors(Disentangler, KnowsAttributes):
    """z = the true attributes, decoded to the image that is expected of them (a sum over attributes).

    Protocols show it the attributes. Of images alone it tells what ridge regression makes of the pixels.
    """

    role: ClassVar[Role] = "ceiling"
    labels_used = 1.0

    def build(self, spec: DataSpec) -> None:
        if not spec.attributes:
            raise Unsupported("oracle_factors needs attributes, and the data set has none")
        self.shape = spec.shape
        size, count = math.prod(spec.shape), len(spec.attributes)
        self.reading = torch.zeros(size + 1, count, device=spec.device, dtype=spec.dtype)
        self.values = torch.ones(count, dtype=torch.int64, device=spec.device)
        self.drawing = torch.zeros(count + 1, size, device=spec.device, dtype=spec.dtype)

    def fit(self, data: Dataset, *, rng: torch.Generator, progress: Progress) -> None:
        x, attributes = data.train.x.flatten(1), data.train.attributes
        if attributes is None:
            raise Unsupported("oracle_factors needs attributes, and the data set has none")
        self.values = attributes.amax(dim=0) + 1
        self.reading = _ridge(_with_one(x), attributes.to(x))
        self.drawing = _ridge(self._one_hot(attributes), x)

    def encode_knowing(self, x: Tensor, attributes: Tensor) -> Tensor:
        return attributes.to(x)

    def encode(self, x: Tensor) -> Tensor:
        return _with_one(x.flatten(1)) @ self.reading

    def decode(self, z: Tensor) -> Tensor:
        nearest = z.round().clamp(min=0).minimum((self.values - 1).to(z)).to(torch.int64)
        return (self._one_hot(nearest) @ self.drawing).unflatten(1, self.shape)

    def _one_hot(self, attributes: Tensor) -> Tensor:
        columns = [one_hot(column, int(n)) for column, n in zip(attributes.T, self.values)]
        return _with_one(torch.cat(columns, dim=1).to(self.reading))

    def state_dict(self) -> Mapping[str, Tensor]:
        return {"reading": self.reading, "values": self.values, "drawing": self.drawing}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.reading, self.values, self.drawing = state["reading"], state["values"], state["drawing"]


def _with_one(x: Tensor) -> Tensor:
    return torch.cat([x, x.new_ones(len(x), 1)], dim=1)


def _ridge(inputs: Tensor, targets: Tensor) -> Tensor:
    """The matrix (inputs, targets) of least penalised square error, computed in float64."""
    a, b = inputs.double(), targets.double()
    gram = a.T @ a
    gram.diagonal().add_(RIDGE * float(gram.diagonal().mean()))
    return torch.linalg.solve(gram, a.T @ b).to(inputs)
