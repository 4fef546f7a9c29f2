"""What methods that enlarge images without learning have in common."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from mfbench import (
    Dataset,
    DataSpec,
    GenerativeModel,
    Progress,
    Reconstructor,
    SuperResolver,
    Unsupported,
    UserError,
)


class Interpolation(GenerativeModel, Reconstructor, SuperResolver):
    """Images of any size to twice, four times, ... the size, by a rule (`enlarge`).

    Level 1 is the full size, the images of the next level are the means of 2 x 2 blocks. `reconstruct` knows
    of an image the next coarser level alone, and `sample` of the data training images of half the size: what
    is missing is what a method must add.
    """

    who: ClassVar[str]
    """The method's name, for messages."""

    def build(self, spec: DataSpec) -> None:
        """Unsupported where the data are no images, or do not halve."""
        if len(spec.shape) != 3:
            raise Unsupported(
                f"{self.who} is for images (channels, height, width), not for shape {spec.shape}"
            )
        self.shape = tuple(spec.shape)
        self._factor(2)

    def enlarge(self, low: Tensor, factor: int) -> Tensor:
        """(n, c, factor h, factor w) of low (n, c, h, w), in [0, 1]."""
        raise NotImplementedError

    def fit(self, data: Dataset, *, rng: torch.Generator, progress: Progress) -> None:
        self.half = avg_pool2d(data.train.x, 2)

    def sample(self, count: int, *, rng: torch.Generator) -> Tensor:
        """What is seen at half the size of training images, drawn at random: none again before all were."""
        rounds = -(-count // len(self.half))
        rows = [torch.randperm(len(self.half), generator=rng, device=rng.device) for _ in range(rounds)]
        return self.enlarge(self.half[torch.cat(rows)[:count]], 2)

    def reconstruct(self, x: Tensor, level: int) -> Tensor:
        """x_level of full-size images from x_{level + 1}."""
        factor = self._factor(level + 1)
        return self.enlarge(avg_pool2d(x, factor), 2)

    def super_resolve(
        self, x_low: Tensor, from_level: int, temperature: float, *, rng: torch.Generator
    ) -> Tensor:
        """The same whatever the temperature: nothing is drawn."""
        factor = self._factor(from_level)
        channels, height, width = self.shape
        shape = channels, height // factor, width // factor
        if tuple(x_low.shape[1:]) != shape:
            raise UserError(
                f"{self.who}: images of level {from_level} have shape {shape}, not {tuple(x_low.shape[1:])}"
            )
        return self.enlarge(x_low, factor)

    def _factor(self, level: int) -> int:
        """By which images of a level are smaller; UserError below 2, Unsupported where it does not divide."""
        if level < 2:
            raise UserError(f"{self.who}: level {level}: there is nothing to enlarge; from level 2 there is")
        factor: int = 2 ** (level - 1)
        _, height, width = self.shape
        if height % factor or width % factor:
            raise Unsupported(
                f"{self.who}: images of {height} x {width} do not become {factor} times smaller"
            )
        return factor


def cubic(low: Tensor, factor: int) -> Tensor:
    """Keys's cubic convolution, a = -1/2, the edge repeated; it may leave [0, 1]."""
    size = factor * low.shape[2], factor * low.shape[3]
    return interpolate(low, size, mode="bicubic", align_corners=False, antialias=True)
