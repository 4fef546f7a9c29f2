"""The network of `ddpm_mlp`: a multilayer perceptron on Fourier features of x and of the noise level."""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn

from mfbench import NoiseSchedule
from mfbench_diffusion.grids import ASINH_SCALE

_RATES = 0.2, 3.0
"""Slowest and fastest feature of the noise level, in radians a unit of u, which runs from 0 to about 8."""


def noise_level(alpha_bar: Tensor) -> Tensor:
    """u = asinh(sigma / 0.1), sigma = sqrt((1 - abar) / abar)."""
    return torch.asinh(((1 - alpha_bar) / alpha_bar).sqrt() / ASINH_SCALE)


class FourierMLP(nn.Module):
    """(x, u) -> v, each of `depth` hidden layers `width` wide; u = asinh(sigma / 0.1) is the noise level.

    The first layer sees x, sin and cos of `fourier_features` random projections of x (Tancik et al. 2020),
    whose frequency vectors are Gaussian with root mean square length `frequency` (radians a unit of x), and
    `time_features` sines and cosines of u. These turn by less than 1 radian in a step of 1/T (T >= 100), so
    that the network is smooth between the steps; and it is smooth in sigma, which t is not: log abar has a
    kink at every k/T, and solvers of high order stumble over each.
    """

    frequencies: Tensor
    rates: Tensor

    def __init__(
        self,
        dim: int,
        *,
        width: int,
        depth: int,
        fourier_features: int,
        frequency: float,
        time_features: int,
    ) -> None:
        super().__init__()
        self.frequency = frequency
        self.register_buffer("frequencies", torch.zeros(dim, fourier_features))
        slowest, fastest = map(math.log10, _RATES)
        rates = torch.logspace(slowest, fastest, time_features // 2)
        self.register_buffer("rates", rates, persistent=False)
        self.from_x = nn.Linear(dim + 2 * fourier_features, width)
        self.from_u = nn.Linear(2 * len(rates), width, bias=False)
        self.hidden = nn.ModuleList(nn.Linear(width, width) for _ in range(depth - 1))
        self.out = nn.Linear(width, dim)

    @torch.no_grad()
    def initialise(self, rng: torch.Generator) -> None:
        """Random frequencies, and weights uniform within 1 / sqrt(inputs), all drawn from `rng`."""
        self.frequencies.normal_(0, self.frequency / math.sqrt(len(self.frequencies)), generator=rng)
        for layer in (self.from_x, self.from_u, *self.hidden, self.out):
            for parameter in layer.parameters():
                bound = 1 / math.sqrt(layer.in_features)
                parameter.uniform_(-bound, bound, generator=rng)

    def forward(self, x: Tensor, u: Tensor) -> Tensor:
        """The shape of x (n, ...); u is (n,), or (1,) for one level that all rows share."""
        turn = u[:, None] * self.rates
        h = self.from_x(self._features(x.flatten(1)))
        h = _silu(h.add_(self.from_u(torch.cat([turn.sin(), turn.cos()], 1))))
        for layer in self.hidden:
            h = _silu(layer(h))
        v: Tensor = self.out(h)
        return v.view_as(x)

    def _features(self, flat: Tensor) -> Tensor:
        phase = flat @ self.frequencies
        return torch.cat([flat, phase.sin(), phase.cos()], 1)


def _silu(h: Tensor) -> Tensor:
    """In place where no gradient needs h: fresh memory for large batches costs as much as the arithmetic."""
    return nn.functional.silu(h, inplace=not h.requires_grad)


class NetworkPredictor:
    """eps from a network that predicts v = sqrt(abar) eps - sqrt(1 - abar) x_0 (Salimans and Ho 2022):

        eps = sqrt(abar) v + sqrt(1 - abar) x_t.

    It computes in x's dtype: for any but the network's own a copy is cast once, and kept.
    """

    def __init__(self, network: nn.Module, schedule: NoiseSchedule) -> None:
        self.schedule = schedule
        self._networks = {next(network.parameters()).dtype: network}

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        if t.stride(0) == 0:  # one time, expanded: embedded once
            t = t[:1]
        alpha_bar = self.schedule.alpha_bar(t.to(x.dtype))
        v: Tensor = self._network(x.dtype)(x, noise_level(alpha_bar))
        alpha_bar = alpha_bar.view(-1, *[1] * (x.ndim - 1))
        return alpha_bar.sqrt() * v + (1 - alpha_bar).sqrt() * x

    def _network(self, dtype: torch.dtype) -> nn.Module:
        if dtype not in self._networks:
            original = next(iter(self._networks.values()))
            self._networks[dtype] = copy.deepcopy(original).to(dtype)
        return self._networks[dtype]
