"""The network of `cnn`: residual blocks (He et al. 2016), as many levels as the image's size asks for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

SMALLEST = 4
"""Levels are halved until neither side is longer: 8 -> 4, 28 -> 14 -> 7 -> 4, 64 -> 32 -> 16 -> 8 -> 4."""
WIDEST = 4
"""Channels double with every level, up to so many times those of the first."""


class ResidualNetwork(nn.Module):
    """x (n, channels, height, width) in [0, 1] -> logits (n, classes), through features (n, d).

    A convolution at full size, `blocks` residual blocks on every level below it, their mean over the image
    (the features) and a linear layer. `shift` and `scale` are those of the data, taken to 0 and 1 first.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, shape: Sequence[int], classes: int, *, width: int, blocks: int) -> None:
        super().__init__()
        self.register_buffer("shift", torch.zeros(()))
        self.register_buffer("scale", torch.ones(()))
        self.stem = nn.Conv2d(shape[0], width, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        stages: list[nn.Module] = []
        channels = width
        for level in range(1, halvings(shape) + 1):
            outputs = width * min(2**level, WIDEST)
            for block in range(blocks):
                stages.append(Residual(channels, outputs, stride=1 if block else 2))
                channels = outputs
        self.stages = nn.Sequential(*stages)
        self.out = nn.Linear(channels, classes)

    def features(self, x: Tensor) -> Tensor:
        """(n, d), not negative."""
        h = relu(self.norm(self.stem((x - self.shift) / self.scale)))
        return cast(Tensor, self.stages(h).mean(dim=(2, 3)))

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.out(self.features(x)))


class Residual(nn.Module):
    """relu(shortcut(x) + two normalised convolutions of x), `stride` times smaller."""

    def __init__(self, inputs: int, outputs: int, *, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(outputs)
        same = stride == 1 and inputs == outputs
        self.shortcut = nn.Identity() if same else Shortcut(inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        h = relu(self.first_norm(self.first(x)))
        return relu(self.shortcut(x) + self.second_norm(self.second(h)))


class Shortcut(nn.Sequential):
    """A normalised 1x1 convolution: where the block changes the channels or the size."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__(nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs))


def halvings(shape: Sequence[int]) -> int:
    """How often an image of this shape (channels, height, width) is halved, odd sides rounded up; at least
    once.
    """
    longest, count = -(-max(shape[1:]) // 2), 1
    while longest > SMALLEST:
        longest, count = -(-longest // 2), count + 1
    return count
