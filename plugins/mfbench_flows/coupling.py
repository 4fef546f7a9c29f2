"""Affine coupling (Dinh et al. 2017; Kingma and Dhariwal 2018, Sec. 3.3), conditional on features."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mfbench_flows.step import Step

_LIMIT = 2.0
"""Of |log scale|, smoothly: no step stretches by more than e^2, which keeps inverses well conditioned."""


class AffineCoupling(Step):
    """(a, b) -> (a, b exp(l) + m), with l and m a network's answer to a and to the condition's features.

    a are the first channels // 2 channels: none of a single channel, which then depends on the features
    alone. The network's last layer starts at zero, so the step starts as the identity.
    """

    def __init__(self, channels: int, features: int, width: int) -> None:
        """`features`: channels of the condition's features, 0 without; `width`: channels of the network."""
        super().__init__()
        self.kept = channels // 2
        if self.kept + features == 0:
            raise ValueError("a coupling of one channel needs features: there is nothing else to read")
        self.network = coupling_network(self.kept + features, 2 * (channels - self.kept), width)

    def forward(self, x: Tensor, features: Tensor | None = None) -> tuple[Tensor, Tensor]:
        a, b = x[:, : self.kept], x[:, self.kept :]
        log_scale, shift = self._affine(a, features)
        return torch.cat([a, torch.addcmul(shift, b, log_scale.exp())], 1), log_scale.sum((1, 2, 3))

    def inverse(self, z: Tensor, features: Tensor | None = None) -> Tensor:
        a, b = z[:, : self.kept], z[:, self.kept :]
        log_scale, shift = self._affine(a, features)
        return torch.cat([a, (b - shift) * (-log_scale).exp()], 1)

    def _affine(self, a: Tensor, features: Tensor | None) -> tuple[Tensor, Tensor]:
        seen = a if features is None else torch.cat([a, features], 1)
        log_scale, shift = self.network(seen).chunk(2, 1)
        return _LIMIT * torch.tanh(log_scale), shift


def coupling_network(inputs: int, outputs: int, width: int) -> nn.Sequential:
    """3x3, 1x1 and 3x3 convolutions with SiLU between; the last starts at zero, and so does the answer."""
    last = nn.Conv2d(width, outputs, 3, padding=1)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)  # type: ignore[arg-type]
    return nn.Sequential(
        nn.Conv2d(inputs, width, 3, padding=1), nn.SiLU(), nn.Conv2d(width, width, 1), nn.SiLU(), last
    )
