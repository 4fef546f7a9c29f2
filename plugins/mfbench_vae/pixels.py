"""p(x | z) of pixels, given a decoder's outputs (n, c, h, w)."""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

Pixels: TypeAlias = Literal["bernoulli", "gaussian"]


class Bernoulli:
    """Outputs are logits; log p is minus the cross-entropy, in nats, for x in [0, 1].

    Between 0 and 1 it is no normalised density: the objective of Locatello et al. 2019 and many others.
    """

    def log_prob(self, outputs: Tensor, x: Tensor) -> Tensor:
        """(n,) nats, summed over pixels."""
        return -binary_cross_entropy_with_logits(outputs, x, reduction="none").flatten(1).sum(1)

    def mean(self, outputs: Tensor) -> Tensor:
        return torch.sigmoid(outputs)

    def outputs(self, mean: Tensor) -> Tensor:
        """What has this mean, held to [0.01, 0.99]."""
        return mean.clamp(0.01, 0.99).logit()


class Gaussian:
    """Outputs are means, with one standard deviation `std`; a density of R^D."""

    def __init__(self, std: float) -> None:
        self.std = std

    def log_prob(self, outputs: Tensor, x: Tensor) -> Tensor:
        """(n,) nats, summed over pixels, with the constants."""
        errors = ((x - outputs) / self.std).square().flatten(1)
        return -errors.sum(1) / 2 - errors.shape[1] * math.log(self.std * math.sqrt(2 * math.pi))

    def mean(self, outputs: Tensor) -> Tensor:
        return outputs.clamp(0, 1)

    def outputs(self, mean: Tensor) -> Tensor:
        """What has this mean."""
        return mean


def make_law(pixels: Pixels, std: float) -> Bernoulli | Gaussian:
    """The law of that name; `std` is the Gaussian's."""
    return Bernoulli() if pixels == "bernoulli" else Gaussian(std)
