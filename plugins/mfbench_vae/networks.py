"""The encoders, the same for every method: only the objectives differ. What decodes is in `decoders`.

Small images have fully connected layers, larger ones convolutions with a residual block (He et al. 2016) at
the smallest of their sizes, where it costs least. Nothing is normalised over a batch, so that a code depends
on its own image alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, TypeAlias, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from mfbench import Unsupported

Network: TypeAlias = Literal["auto", "mlp", "conv", "halves"]
"""auto: "mlp" up to MLP_PIXELS pixels, "conv" beyond. halves: an encoder for the left half of the image and
one for the right, each with half of the code; they and the decoder are what "auto" gives to the image."""

MLP_PIXELS = 1024
SMALLEST = 8
"""Convolutional levels are halved until neither side is longer."""
WIDEST = 2
"""Channels double with every level, up to so many times those of the first."""


class Encoder(nn.Module):
    """Images (n, c, h, w) in [0, 1] to (n, outputs): a body, then a linear layer `out`.

    What the body sees has mean 0 and standard deviation 1 over all pixels of the first training images.
    """

    centre: Tensor
    scale: Tensor

    def __init__(self, body: nn.Module, features: int, outputs: int) -> None:
        super().__init__()
        self.body = body
        self.out = nn.Linear(features, outputs)
        self.register_buffer("centre", torch.tensor(0.5))
        self.register_buffer("scale", torch.tensor(1.0))

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.out(self.body((x - self.centre) / self.scale)))

    def standardise(self, x: Tensor) -> None:
        """Take centre and scale from these images."""
        self.centre.copy_(x.mean())
        self.scale.copy_(x.std().clamp_min(1e-3))

    @torch.no_grad()
    def spread(self, x: Tensor, mean: Tensor, std: Tensor) -> None:
        """Make the first d outputs uncorrelated on x, with these means and standard deviations (d,).

        A change of the last layer alone; directions in which the outputs do not vary stay as they are.
        """
        rows = slice(0, len(mean))
        y = self(x)[:, rows].double()
        values, vectors = torch.linalg.eigh(torch.cov(y.T).reshape(y.shape[1], -1))
        scale = torch.where(values > 1e-6 * values[-1], values, 1.0).rsqrt()
        whiten = vectors @ torch.diag(scale) @ vectors.T
        change = torch.diag(std.double()) @ whiten
        self.out.weight[rows] = (change @ self.out.weight[rows].double()).to(self.out.weight)
        shift = mean.double() + change @ (self.out.bias[rows].double() - y.mean(0))
        self.out.bias[rows] = shift.to(self.out.bias)

    @torch.no_grad()
    def repeat(self, factors: Tensor) -> None:
        """Make the first m d outputs m blocks: the first d times the factors (m, d) of each block."""
        count = factors.shape[1]
        weight, bias = self.out.weight[:count].clone(), self.out.bias[:count].clone()
        self.out.weight[: factors.numel()] = (factors[:, :, None] * weight).flatten(0, 1)
        self.out.bias[: factors.numel()] = (factors * bias).flatten()


class Halves(nn.Module):
    """Two encoders, of the left and of the right half of the images; their outputs take turns by blocks.

    `blocks` parts of the output (means, then log-standard-deviations) have a left and a right half each.
    """

    def __init__(self, left: Encoder, right: Encoder, blocks: int) -> None:
        super().__init__()
        self.parts = nn.ModuleList([left, right])
        self.blocks = blocks

    def forward(self, x: Tensor) -> Tensor:
        each = [part(half) for part, half in zip(self.parts, _halves(x))]
        return torch.stack([one.unflatten(1, (self.blocks, -1)) for one in each], dim=2).flatten(1)

    def standardise(self, x: Tensor) -> None:
        """As `Encoder.standardise`, of the whole images for both."""
        for part in self.parts:
            cast(Encoder, part).standardise(x)

    def spread(self, x: Tensor, mean: Tensor, std: Tensor) -> None:
        """As `Encoder.spread`, each half on its own."""
        for part, half, centre, width in zip(self.parts, _halves(x), mean.chunk(2), std.chunk(2)):
            cast(Encoder, part).spread(half, centre, width)

    def repeat(self, factors: Tensor) -> None:
        """As `Encoder.repeat`, each half on its own."""
        for part, some in zip(self.parts, factors.chunk(2, dim=1)):
            cast(Encoder, part).repeat(some)


class Residual(nn.Module):
    """x + two convolutions of x."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, x + self.second(silu(self.first(silu(x)))))


def make_encoder(
    network: Network, shape: Sequence[int], outputs: int, *, width: int, channels: int, blocks: int = 1
) -> Encoder | Halves:
    """Images of `shape` to (n, outputs); `blocks`: see `Halves`. Unsupported where there are no halves."""
    conv = convolves(network, shape)
    if network == "halves":
        half = (*shape[:2], shape[2] // 2)
        if shape[2] % 2 or outputs % (2 * blocks):
            raise Unsupported(f"halves: neither width {shape[2]} nor the code's size may be odd")
        left, right = (_encoder(half, outputs // 2, width, channels, conv) for _ in range(2))
        return Halves(left, right, blocks)
    return _encoder(shape, outputs, width, channels, conv)


def _encoder(shape: Sequence[int], outputs: int, width: int, channels: int, conv: bool) -> Encoder:
    if not conv:
        inputs = shape[0] * shape[1] * shape[2]
        seen = [nn.Flatten(), nn.Linear(inputs, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU()]
        return Encoder(nn.Sequential(*seen), width, outputs)
    sizes, depths = pyramid(shape, channels)
    layers: list[nn.Module] = [nn.Conv2d(shape[0], depths[0], 5, 2, 2)]
    for level, (before, after) in enumerate(pairwise(depths)):
        side = 3 if level else 5
        layers += [nn.SiLU(), nn.Conv2d(before, after, side, 2, side // 2)]
    features = depths[-1] * sizes[-1][0] * sizes[-1][1]
    layers += [Residual(depths[-1]), nn.SiLU(), nn.Flatten(), nn.Linear(features, width), nn.SiLU()]
    return Encoder(nn.Sequential(*layers), width, outputs)


@torch.no_grad()
def initialise(networks: nn.Module) -> None:
    """Weights of linear and convolutional layers normal with variance 2 / inputs (He et al. 2015), biases 0.

    Torch's own start has a third of that at most, and outputs that hardly differ between images.
    """
    for module in networks.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                module.bias.zero_()


def pyramid(shape: Sequence[int], channels: int) -> tuple[list[tuple[int, int]], list[int]]:
    """Sizes (h, w) and channels of the convolutional levels, from half the image's size down."""
    sizes = [(-(-shape[1] // 2), -(-shape[2] // 2))]
    while max(sizes[-1]) > SMALLEST:
        sizes.append((-(-sizes[-1][0] // 2), -(-sizes[-1][1] // 2)))
    return sizes, [channels * min(2**level, WIDEST) for level in range(len(sizes))]


def convolves(network: Network, shape: Sequence[int]) -> bool:
    """Whether images of `shape` are seen by convolutions."""
    if network in ("auto", "halves"):
        return shape[1] * shape[2] > MLP_PIXELS
    return network == "conv"


def _halves(x: Tensor) -> tuple[Tensor, ...]:
    return x.chunk(2, dim=3)
