"""Activation normalisation (Kingma and Dhariwal 2018, Sec. 3.1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mfbench_flows.step import Step

_LEAST_SCALE = 1e-6
"""A channel that varies less in the first batch counts as constant, and keeps its scale."""


class ActNorm(Step):
    """z = (x - shift) / scale by channel; `initialise` makes the first batch zero-mean and unit-variance."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(channels, 1, 1))
        self.log_scale = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x: Tensor, features: Tensor | None = None) -> tuple[Tensor, Tensor]:
        gain = (-self.log_scale).exp()
        log_det = -self.log_scale.sum() * x.shape[2] * x.shape[3]
        return torch.addcmul(-self.shift * gain, x, gain), log_det.expand(len(x))

    def inverse(self, z: Tensor, features: Tensor | None = None) -> Tensor:
        return torch.addcmul(self.shift, z, self.log_scale.exp())

    @torch.no_grad()
    def initialise(self, x: Tensor, features: Tensor | None = None) -> Tensor:
        shift, log_scale = statistics(x)
        self.shift.copy_(shift[:, None, None])
        self.log_scale.copy_(log_scale[:, None, None])
        return super().initialise(x, features)


def statistics(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and log standard deviation of each channel, (channels,); a constant one keeps its scale."""
    scale, shift = torch.std_mean(x, dim=(0, 2, 3), correction=0)
    return shift, torch.where(scale > _LEAST_SCALE, scale, torch.ones_like(scale)).log()
