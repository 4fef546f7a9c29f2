"""The autoencoder of one level of the hierarchy: y = f(x), and x_hat of y and the next coarser x_hat."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from mfbench_flows.sizes import Size, factors, resized


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

    The image is concatenated at every size, and its enlargement is what the network's answer is added to, so
    that y need only tell the difference. `condition` = 0: there is none.
    """

    def __init__(self, channels: int, code: int, sizes: Sequence[Size], width: int, condition: int) -> None:
        super().__init__()
        self.sizes = list(reversed(sizes))
        inputs = [code, *[width] * (len(sizes) - 1)]
        self.layers = nn.ModuleList(nn.Conv2d(count + condition, width, 3, padding=1) for count in inputs)
        self.out = nn.Conv2d(width, channels, 3, padding=1)

    def forward(self, y: Tensor, condition: Tensor | None) -> Tensor:
        h = y
        for size, layer in zip(self.sizes, self.layers):
            h = resized(h, size)
            if condition is not None:
                h = torch.cat([h, resized(condition, size)], 1)
            h = silu(layer(h))
        answer: Tensor = self.out(h)
        return answer if condition is None else answer + resized(condition, self.sizes[-1])


class Autoencoder(nn.Module):
    """f and its decoder."""

    def __init__(self, channels: int, code: int, sizes: Sequence[Size], width: int, condition: int) -> None:
        """`sizes`: from the image's to the code's; `condition`: channels of the image that is given, or 0."""
        super().__init__()
        self.encoder = Encoder(channels, code, sizes, width)
        self.decoder = Decoder(channels, code, sizes, width, condition)
