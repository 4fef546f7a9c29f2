"""The autoencoder of one level of the hierarchy: y = f(x), and x_hat of y and the next coarser x_hat."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from mfbench_flows.sizes import Size, factors, resized
from mfbench_flows.squeeze import Squeeze


class Encoder(nn.Module):
    """x (n, channels, *sizes[0]) to y (n, code, *sizes[-1]): convolutions, one strided for each halving."""

    def __init__(self, channels: int, code: int, sizes: Sequence[Size], width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 3, padding=1), nn.SiLU()]
        for size, _ in pairwise(sizes):
            layers += [nn.Conv2d(width, width, 3, stride=factors(size), padding=1), nn.SiLU()]
        self.layers = nn.Sequential(*layers, nn.Conv2d(width, code, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.layers(x))


class Decoder(nn.Module):
    """y (n, code, *sizes[-1]), given an image (n, condition, h, w), to x_hat (n, channels, *sizes[0]).

    From each size to the next: three convolutions, the last with channels for every pixel of the larger size,
    into which they are sorted (Shi et al. 2016), so that the full size costs no convolution. The image is
    concatenated at every size but the full one, and its enlargement is what the network's answer is added to,
    so that y need only tell the difference. `condition` = 0: there is none.
    """

    def __init__(self, channels: int, code: int, sizes: Sequence[Size], width: int, condition: int) -> None:
        super().__init__()
        growing = list(reversed(sizes))
        steps = [factors(size) for size in growing[1:]] or [(1, 1)]
        inputs = [code, *[width] * (len(steps) - 1)]
        outputs = [*[width] * (len(steps) - 1), channels]
        self.size = growing[-1]
        self.sizes = growing[: len(steps)]
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(before + condition, width, 3, padding=1),
                nn.SiLU(),
                nn.Conv2d(width, width, 3, padding=1),
                nn.SiLU(),
                nn.Conv2d(width, after * across * along, 3, padding=1),
            )
            for before, after, (across, along) in zip(inputs, outputs, steps)
        )
        self.blocks = nn.ModuleList(Squeeze(step) for step in steps)

    def forward(self, y: Tensor, condition: Tensor | None) -> Tensor:
        h = y
        for place, (size, layer, block) in enumerate(zip(self.sizes, self.layers, self.blocks)):
            h = silu(h) if place else h
            if condition is not None:
                h = torch.cat([h, resized(condition, size)], 1)
            h = cast(Squeeze, block).inverse(layer(h))
        return h if condition is None else h + resized(condition, self.size)


class Autoencoder(nn.Module):
    """f and its decoder."""

    def __init__(self, channels: int, code: int, sizes: Sequence[Size], width: int, condition: int) -> None:
        """`sizes`: from the image's to the code's; `condition`: channels of the image that is given, or 0."""
        super().__init__()
        self.encoder = Encoder(channels, code, sizes, width)
        self.decoder = Decoder(channels, code, sizes, width, condition)
