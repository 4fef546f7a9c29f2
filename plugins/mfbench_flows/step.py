"""What a flow is made of: invertible maps with their log-determinants (Rezende and Mohamed 2015)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import cast

import torch
from torch import Tensor, nn


class Step(nn.Module):
    """An invertible map x -> z of images (n, c, h, w), one for each value of the condition's features.

    `features` are (n, f, h', w') with the height and width of what the step reads after squeezing, or None.
    """

    def forward(self, x: Tensor, features: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """z, and log |det dz/dx|, (n,) nats."""
        raise NotImplementedError

    def inverse(self, z: Tensor, features: Tensor | None = None) -> Tensor:
        """x, to rounding."""
        raise NotImplementedError

    @torch.no_grad()
    def initialise(self, x: Tensor, features: Tensor | None = None) -> Tensor:
        """Set what depends on data from this first batch, and give z. Most steps have nothing to set."""
        return cast(Tensor, self(x, features)[0])


class Chain(Step):
    """One step after the other."""

    def __init__(self, steps: Iterable[Step]) -> None:
        super().__init__()
        self.steps = nn.ModuleList(steps)

    def forward(self, x: Tensor, features: Tensor | None = None) -> tuple[Tensor, Tensor]:
        log_det = x.new_zeros(len(x))
        for step in self.steps:
            x, term = step(x, features)
            log_det = log_det + term
        return x, log_det

    def inverse(self, z: Tensor, features: Tensor | None = None) -> Tensor:
        for step in reversed(self.steps):
            z = cast(Step, step).inverse(z, features)
        return z

    @torch.no_grad()
    def initialise(self, x: Tensor, features: Tensor | None = None) -> Tensor:
        for step in self.steps:
            x = cast(Step, step).initialise(x, features)
        return x


def log_standard_normal(z: Tensor) -> Tensor:
    """log N(z; 0, I), (n,) nats, of z (n, d)."""
    return -(z.square().sum(1) + z.shape[1] * math.log(2 * math.pi)) / 2
