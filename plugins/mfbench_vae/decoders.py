"""The decoders, the same for every method: codes to the parameters of pixels.

They are of the encoders' kind (`networks`), with half of their channels. They begin at the mean image: before
that is drawn, all codes are pulled the same way, often to where no gradient comes back from.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, TypeAlias, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, pixel_shuffle

from mfbench_vae.networks import Network, Residual, convolves, pyramid

Drawing: TypeAlias = Literal["auto", "mlp", "placed"]
"""auto: fully connected or convolutional, as the encoder is. mlp: fully connected. placed: the same, and what
is drawn is then shifted and scaled as the code says (after Jaderberg et al. 2015)."""

FIRST = 0.1
"""How much of its own first weights the last layer begins with."""
SHIFT, SCALE = 0.3, 0.2
"""At most, where drawings are placed: shift in halves of a side, logarithm of the scale."""


class Decoder(nn.Module):
    """Codes (n, latent) to (n, *shape): what a body gives, and an offset of each pixel."""

    def __init__(self, body: nn.Module, shape: Sequence[int]) -> None:
        super().__init__()
        self.body = body
        self.offset = nn.Parameter(torch.zeros(tuple(shape)))

    def forward(self, z: Tensor) -> Tensor:
        return cast(Tensor, self.body(z) + self.offset)

    @torch.no_grad()
    def start(self, outputs: Tensor) -> None:
        """Begin near these outputs (*shape), whatever the code."""
        layers = [module for module in self.body.modules() if isinstance(module, nn.Linear | nn.Conv2d)]
        layers[-1].weight.mul_(FIRST)
        self.offset.copy_(outputs)


class PlacedDecoder(Decoder):
    """The same, shifted and scaled by three numbers that are linear in the code, bilinear; edges go on.

    One picture then serves all places. Rows and columns are moved by a matrix each, so that its gradient is
    deterministic on every device.
    """

    def __init__(self, body: nn.Module, shape: Sequence[int], latent: int) -> None:
        super().__init__(body, shape)
        self.place = nn.Linear(latent, 3)

    def start(self, outputs: Tensor) -> None:
        super().start(outputs)
        nn.init.zeros_(self.place.weight)

    def forward(self, z: Tensor) -> Tensor:
        drawn = super().forward(z)
        right, down, size = self.place(z).tanh().unbind(dim=1)
        scale = (SCALE * size).exp()
        rows = _moves(drawn.shape[2], SHIFT * down, scale)[:, None]
        columns = _moves(drawn.shape[3], SHIFT * right, scale)[:, None]
        return rows @ drawn @ columns.mT


def _moves(side: int, shift: Tensor, scale: Tensor) -> Tensor:
    """(n, side, side): row i weighs the two pixels that pixel i is taken from, by shift and scale (n,)."""
    own = torch.arange(side, dtype=shift.dtype, device=shift.device)
    middle = (side - 1) / 2
    sources = middle + scale[:, None] * (own - middle) + shift[:, None] * (side / 2)
    return (1 - (sources.clamp(0, side - 1)[:, :, None] - own).abs()).clamp_min(0)


class Finish(nn.Module):
    """A convolution to four values a pixel and channel, which become 2 x 2 pixels; cut to `size`."""

    def __init__(self, inputs: int, outputs: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = size
        self.conv = nn.Conv2d(inputs, 4 * outputs, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return pixel_shuffle(self.conv(x), 2)[:, :, : self.size[0], : self.size[1]]


class Enlarge(nn.Module):
    """Repeats pixels up to `size`, then a convolution."""

    def __init__(self, inputs: int, outputs: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = size
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.conv(interpolate(x, self.size)))


def make_decoder(
    network: Network,
    shape: Sequence[int],
    latent: int,
    *,
    width: int,
    channels: int,
    drawing: Drawing = "auto",
) -> Decoder:
    """Codes (n, latent) to the parameters of pixels, (n, *shape): logits or means."""
    if drawing == "placed":
        return PlacedDecoder(_fully_connected(shape, latent, width), shape, latent)
    if drawing == "auto" and convolves(network, shape):
        return Decoder(_convolutional(shape, latent, width, channels), shape)
    return Decoder(_fully_connected(shape, latent, width), shape)


def _fully_connected(shape: Sequence[int], latent: int, width: int) -> nn.Sequential:
    layers = [nn.Linear(latent, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU()]
    last = nn.Linear(width, shape[0] * shape[1] * shape[2])
    return nn.Sequential(*layers, last, nn.Unflatten(1, tuple(shape)))


def _convolutional(shape: Sequence[int], latent: int, width: int, channels: int) -> nn.Sequential:
    sizes, depths = pyramid(shape, -(-channels // 2))
    sizes, depths = sizes[::-1], depths[::-1]
    features = depths[0] * sizes[0][0] * sizes[0][1]
    layers: list[nn.Module] = [nn.Linear(latent, width), nn.SiLU(), nn.Linear(width, features)]
    layers += [nn.Unflatten(1, (depths[0], *sizes[0])), Residual(depths[0])]
    for (before, after), size in zip(pairwise(depths), sizes[1:]):
        layers += [nn.SiLU(), Enlarge(before, after, size)]
    return nn.Sequential(*layers, nn.SiLU(), Finish(depths[-1], shape[0], (shape[1], shape[2])))
