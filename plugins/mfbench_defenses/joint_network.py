"""The network of Eq. 29: an image's code, what the code draws, and the class that it says."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, relu

from mfbench_defenses.residual import WIDEST, Residual, halvings


class JointNetwork(nn.Module):
    """x (n, channels, height, width) in [0, 1] -> code -> x again, and logits.

    Encoder and decoder are residual, on as many levels as the image's size asks for; `latent` numbers a code,
    `width` channels at full size. The encoder gives a mean and a log standard deviation. `coarse`: nothing
    happens at full size, two by two pixels are read and drawn at once, and `width` is that of half the size.
    `shift` and `scale` are those of the data, taken to 0 and 1 first.
    """

    shift: Tensor
    scale: Tensor

    def __init__(
        self, shape: Sequence[int], classes: int, *, latent: int, width: int, coarse: bool = False
    ) -> None:
        super().__init__()
        self.register_buffer("shift", torch.zeros(()))
        self.register_buffer("scale", torch.ones(()))
        self.size = (shape[1], shape[2])
        sizes = _sizes(shape)[1:] if coarse else _sizes(shape)
        channels = [width * min(2**level, WIDEST) for level in range(len(sizes))]
        (height, wide), deepest = sizes[-1], channels[-1]
        self.encoder = nn.Sequential(
            _stem(shape[0], width, coarse),
            nn.ReLU(),
            *(Residual(*pair, stride=2) for pair in pairwise(channels)),
            nn.Flatten(),
            nn.Linear(deepest * height * wide, 2 * latent),
        )
        self.decoder = nn.Sequential(
            nn.Linear(latent, deepest * height * wide),
            nn.Unflatten(1, (deepest, height, wide)),
            *(
                Enlarging(*pair, size)
                for pair, size in zip(pairwise(channels[::-1]), sizes[-2::-1], strict=True)
            ),
            *_drawing(width, shape[0], coarse),
            nn.Sigmoid(),
        )
        self.head = nn.Linear(latent, classes)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log standard deviation of q(z | x), (n, latent) each."""
        mean, log_std = self.encoder((x - self.shift) / self.scale).chunk(2, dim=1)
        return mean, log_std.clamp(-6, 3)

    def decode(self, z: Tensor) -> Tensor:
        """The images that codes (n, latent) draw, in [0, 1]."""
        x: Tensor = self.decoder(z)
        height, width = self.size
        return x[..., :height, :width]  # an odd side has half a pair too much

    def classify(self, z: Tensor) -> Tensor:
        """Logits (n, classes) of codes: h_psi."""
        logits: Tensor = self.head(z)
        return logits


def _stem(inputs: int, width: int, coarse: bool) -> nn.Module:
    return (
        nn.Conv2d(inputs, width, 5, stride=2, padding=2) if coarse else nn.Conv2d(inputs, width, 3, padding=1)
    )


def _drawing(width: int, outputs: int, coarse: bool) -> list[nn.Module]:
    if not coarse:
        return [nn.Conv2d(width, outputs, 3, padding=1)]
    return [nn.Conv2d(width, 4 * outputs, 3, padding=1), nn.PixelShuffle(2)]


class Enlarging(nn.Module):
    """relu(h + two normalised convolutions of h) of h enlarged to `size`, its channels exchanged."""

    def __init__(self, inputs: int, outputs: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = size
        self.channels = nn.Conv2d(inputs, outputs, 1)  # before enlarging: a quarter of the work
        self.first = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(outputs)

    def forward(self, h: Tensor) -> Tensor:
        h = interpolate(self.channels(h), size=self.size, mode="nearest")
        change = relu(self.first_norm(self.first(h)))
        return relu(h + self.second_norm(self.second(change)))


def _sizes(shape: Sequence[int]) -> list[tuple[int, int]]:
    """(height, width) of every level, from the image's own down."""
    sizes = [(shape[1], shape[2])]
    for _ in range(max(1, halvings(shape))):
        height, width = sizes[-1]
        sizes.append((-(-height // 2), -(-width // 2)))
    return sizes
