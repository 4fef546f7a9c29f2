"""The encoders and decoders, the same for every method: only the objectives differ.

Small images have fully connected layers, larger ones residual convolutions (He et al. 2016), without
normalisation, so that a code depends on its own image alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, TypeAlias, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, silu

from mfbench import Unsupported

Network: TypeAlias = Literal["auto", "mlp", "conv", "halves"]
"""auto: "mlp" up to MLP_PIXELS pixels, "conv" beyond. halves: fully connected, with an encoder for the left
half of the image and one for the right, each with half of the code."""

MLP_PIXELS = 1024
SMALLEST = 8
"""Convolutional levels are halved until neither side is longer."""
WIDEST = 4
"""Channels double with every level, up to so many times those of the first."""


class Encoder(nn.Module):
    """Images (n, c, h, w) in [0, 1] to (n, outputs): a body, then a linear layer `out`."""

    def __init__(self, body: nn.Module, features: int, outputs: int) -> None:
        super().__init__()
        self.body = body
        self.out = nn.Linear(features, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.out(self.body(x - 0.5)))

    @torch.no_grad()
    def spread(self, x: Tensor, rows: slice, mean: Tensor, std: Tensor) -> None:
        """Make the outputs `rows` uncorrelated on x, with these means and standard deviations (d,).

        A change of the last layer alone; directions in which the outputs do not vary stay as they are.
        """
        y = self(x)[:, rows].double()
        values, vectors = torch.linalg.eigh(torch.cov(y.T).reshape(y.shape[1], -1))
        scale = torch.where(values > 1e-6 * values[-1], values, 1.0).rsqrt()
        whiten = vectors @ torch.diag(scale) @ vectors.T
        change = torch.diag(std.double()) @ whiten
        self.out.weight[rows] = (change @ self.out.weight[rows].double()).to(self.out.weight)
        shift = mean.double() + change @ (self.out.bias[rows].double() - y.mean(0))
        self.out.bias[rows] = shift.to(self.out.bias)


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

    def spread(self, x: Tensor, rows: slice, mean: Tensor, std: Tensor) -> None:
        """As `Encoder.spread`, each half on its own; `rows` must be the first block."""
        for part, half, centre, width in zip(self.parts, _halves(x), mean.chunk(2), std.chunk(2)):
            cast(Encoder, part).spread(half, slice(0, len(centre)), centre, width)


class Residual(nn.Module):
    """x + two convolutions of x."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, x + self.second(silu(self.first(silu(x)))))


class Enlarge(nn.Module):
    """Repeats pixels up to `size`, then a convolution."""

    def __init__(self, inputs: int, outputs: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = size
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.conv(interpolate(x, self.size)))


def make_encoder(
    network: Network, shape: Sequence[int], outputs: int, *, width: int, channels: int, blocks: int = 1
) -> Encoder | Halves:
    """Images of `shape` to (n, outputs); `blocks`: see `Halves`. Unsupported where there are no halves."""
    chosen = _chosen(network, shape)
    if chosen == "halves":
        half = (*shape[:2], shape[2] // 2)
        if shape[2] % 2 or outputs % (2 * blocks):
            raise Unsupported(f"halves: neither width {shape[2]} nor the code's size may be odd")
        left, right = (_mlp_encoder(half, outputs // 2, width) for _ in range(2))
        return Halves(left, right, blocks)
    if chosen == "mlp":
        return _mlp_encoder(shape, outputs, width)
    sizes, depths = pyramid(shape, channels)
    layers: list[nn.Module] = [nn.Conv2d(shape[0], depths[0], 3, 2, 1)]
    for before, after in pairwise(depths):
        layers += [Residual(before), nn.SiLU(), nn.Conv2d(before, after, 3, 2, 1)]
    layers += [Residual(depths[-1]), nn.SiLU(), nn.Flatten()]
    return Encoder(nn.Sequential(*layers), depths[-1] * sizes[-1][0] * sizes[-1][1], outputs)


def make_decoder(
    network: Network, shape: Sequence[int], latent: int, *, width: int, channels: int
) -> nn.Sequential:
    """Codes (n, latent) to the parameters of pixels, (n, *shape): logits or means."""
    if _chosen(network, shape) != "conv":
        layers: list[nn.Module] = [nn.Linear(latent, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU()]
        return nn.Sequential(*layers, nn.Linear(width, shape[0] * shape[1] * shape[2]), _unflatten(shape))
    sizes, depths = pyramid(shape, channels)
    sizes, depths = sizes[::-1], depths[::-1]
    features = depths[0] * sizes[0][0] * sizes[0][1]
    layers = [nn.Linear(latent, features), nn.Unflatten(1, (depths[0], *sizes[0])), Residual(depths[0])]
    for (before, after), size in zip(pairwise(depths), sizes[1:]):
        layers += [nn.SiLU(), Enlarge(before, after, size), Residual(after)]
    full = (shape[1], shape[2])
    layers += [nn.SiLU(), Enlarge(depths[-1], depths[-1], full), nn.SiLU()]
    return nn.Sequential(*layers, nn.Conv2d(depths[-1], shape[0], 3, padding=1))


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


def _chosen(network: Network, shape: Sequence[int]) -> Network:
    if network != "auto":
        return network
    return "mlp" if shape[1] * shape[2] <= MLP_PIXELS else "conv"


def _mlp_encoder(shape: Sequence[int], outputs: int, width: int) -> Encoder:
    inputs = shape[0] * shape[1] * shape[2]
    layers = [nn.Flatten(), nn.Linear(inputs, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU()]
    return Encoder(nn.Sequential(*layers), width, outputs)


def _unflatten(shape: Sequence[int]) -> nn.Unflatten:
    return nn.Unflatten(1, tuple(shape))


def _halves(x: Tensor) -> tuple[Tensor, ...]:
    return x.chunk(2, dim=3)
