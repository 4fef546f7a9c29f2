"""The residual network at half of the resolution: a quarter of the work, for boards on two CPU cores."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from mfbench import DataSpec
from mfbench_defenses.cnn import CNN
from mfbench_defenses.residual import WIDEST, Residual, halvings


class CoarseNetwork(nn.Module):
    """x (n, channels, height, width) in [0, 1] -> logits (n, classes), through features (n, d).

    A convolution of 5 x 5 pixels with a stride of two, one residual block on every level below it, and a
    linear layer on all that the last level holds, where it lies: what is hidden by a mask is hidden at a
    place. `shift` and `scale` are those of the data, taken to 0 and 1 first.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, shape: Sequence[int], classes: int, *, width: int) -> None:
        super().__init__()
        self.register_buffer("shift", torch.zeros(()))
        self.register_buffer("scale", torch.ones(()))
        self.stem = nn.Conv2d(shape[0], width, 5, stride=2, padding=2, bias=False)
        self.norm = nn.BatchNorm2d(width)
        levels = max(2, halvings(shape))
        channels = [width * min(2**level, WIDEST) for level in range(levels)]
        self.stages = nn.Sequential(*(Residual(*pair, stride=2) for pair in pairwise(channels)))
        height, wide = (-(-side // 2**levels) for side in shape[1:])
        self.out = nn.Linear(channels[-1] * height * wide, classes)

    def features(self, x: Tensor) -> Tensor:
        """(n, d), not negative."""
        h = relu(self.norm(self.stem((x - self.shift) / self.scale)))
        return cast(Tensor, self.stages(h).flatten(1))

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.out(self.features(x)))


class SizedCNN(CNN):
    """A `cnn` whose network is a `CoarseNetwork` where `coarse` says so."""

    coarse: bool = False

    def build(self, spec: DataSpec) -> None:
        super().build(spec)
        if not self.coarse:
            return
        with torch.random.fork_rng(devices=[]):  # layers draw when made; `fit` draws again, from its rng
            network: nn.Module = CoarseNetwork(spec.shape, self.classes, width=self.width)
        self.network = network.to(spec.device, spec.dtype or torch.float32)  # type: ignore[assignment]
        self.network.eval().requires_grad_(False)


class CoarseCNN(SizedCNN):
    """`cnn` at half of the resolution, undefended: the control beside defenses of the same network.

    Parameters are those of `cnn`; there is one block a level.
    """

    coarse = True

    def __init__(
        self,
        width: int = 16,
        iterations: int = 2000,
        batch_size: int = 128,
        learning_rate: float = 3e-3,
        move: int = 0,
        mirror: bool = False,
    ) -> None:
        super().__init__(width, 1, iterations, batch_size, learning_rate, move, mirror)
