"""Small classifiers of attributes from codes, one an attribute, all computed together."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

_UNITS = 32


class AttributeClassifiers(nn.Module):
    """For each attribute a network with two hidden layers, from inputs (n, k, d) to log p of its values.

    axes: the values of each attribute, whole numbers in a row.
    """

    first: Tensor
    used: Tensor

    def __init__(self, inputs: int, axes: Sequence[Sequence[float]]) -> None:
        super().__init__()
        attributes, most = len(axes), max(map(len, axes))
        sizes = [inputs, _UNITS, _UNITS, most]
        self.weights = nn.ParameterList(
            torch.randn(attributes, before, after) * (2 / before) ** 0.5 for before, after in pairwise(sizes)
        )
        self.biases = nn.ParameterList(torch.zeros(attributes, 1, after) for after in sizes[1:])
        self.register_buffer("first", torch.tensor([axis[0] for axis in axes]))
        self.register_buffer("used", torch.tensor([[v < len(axis) for v in range(most)] for axis in axes]))

    def forward(self, inputs: Tensor) -> Tensor:
        """log p, (n, k, values); minus infinity for values that an attribute has not."""
        h = inputs.transpose(0, 1)
        for weight, bias in zip(self.weights, self.biases):
            h = torch.baddbmm(bias, leaky_relu(h, 0.2) if h.shape[2] == _UNITS else h, weight)
        return h.transpose(0, 1).masked_fill(~self.used, -torch.inf).log_softmax(dim=2)

    def told(self, inputs: Tensor, attributes: Tensor) -> Tensor:
        """Cross-entropy of the attributes (n, k), summed over attributes, mean over images; NaN count 0."""
        known = ~attributes.isnan()
        place = torch.where(known, attributes - self.first, 0.0).long()
        logs = self(inputs).gather(2, place[:, :, None])[:, :, 0]
        return cast(Tensor, -(logs * known).sum() / len(attributes))

    def confusion(self, inputs: Tensor, attributes: Tensor) -> Tensor:
        """Cross-entropy of the uniform law over an attribute's values, summed and averaged likewise."""
        logs = self(inputs).masked_fill(~self.used, 0.0).sum(dim=2) / self.used.sum(1)
        return cast(Tensor, -(logs * ~attributes.isnan()).sum() / len(attributes))
