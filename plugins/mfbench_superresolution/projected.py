"""Super-resolution that fits the small image exactly: the Euclidean projection of another method's images."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from mfbench import DataSpec, GenerativeModel, Ref, SuperResolver, UserError

_HALVINGS = 40
"""Of the interval of shifts, from a width of 2: to below float32's rounding, and float64's noise."""


class Projected(GenerativeModel, SuperResolver):
    """`generator`'s images, each moved to the nearest one in [0, 1] whose block means are the small image.

    The set of these images is convex and holds the original, so that no image ends further from its original
    than it was: PSNR can only rise. `sample` gives the generator's samples as they are.
    """

    def __init__(self, generator: Annotated[Ref, "generator"] = "bicubic") -> None:
        if isinstance(generator, GenerativeModel):  # before anything is fitted
            _require_resolver(generator)
        self.generator = generator

    def build(self, spec: DataSpec) -> None:
        _require_resolver(self.generator)

    def fit(self, data: object, *, rng: torch.Generator, progress: object) -> None:
        """Nothing to learn."""

    def sample(self, count: int, *, rng: torch.Generator) -> Tensor:
        samples: Tensor = self.generator.sample(count, rng=rng)
        return samples

    @torch.no_grad()
    def super_resolve(
        self, x_low: Tensor, from_level: int, temperature: float, *, rng: torch.Generator
    ) -> Tensor:
        """Full-size images whose block means are x_low, which is in [0, 1], to rounding."""
        made = self.generator.super_resolve(x_low, from_level, temperature, rng=rng)
        return onto_means(made, x_low)


def _require_resolver(generator: object) -> None:
    if not isinstance(generator, SuperResolver):
        raise UserError(
            f"projected: generator = {type(generator).__name__} does not super-resolve; one that "
            "does is right (hierarchical_flow, wavelet_flow, bicubic)"
        )


def onto_means(x: Tensor, means: Tensor) -> Tensor:
    """The nearest images to x (n, c, f h, f w) in [0, 1] with block means `means` (n, c, h, w), in [0, 1].

    Blocks are independent. In each the nearest point is clamp(x + s) for the one shift s at which the mean is
    right (the Karush-Kuhn-Tucker conditions); the mean rises with s, and bisection finds it.
    """
    factor = x.shape[2] // means.shape[2]
    x = x.clamp(0, 1)
    low = torch.full_like(means, -1.0)
    high = torch.ones_like(means)
    for _ in range(_HALVINGS):
        shift = (low + high) / 2
        below = avg_pool2d(_shifted(x, shift, factor), factor) < means
        low, high = torch.where(below, shift, low), torch.where(below, high, shift)
    return _shifted(x, (low + high) / 2, factor)


def _shifted(x: Tensor, shift: Tensor, factor: int) -> Tensor:
    """clamp(x + s), s repeated over its block."""
    return (x + shift.repeat_interleave(factor, 2).repeat_interleave(factor, 3)).clamp(0, 1)
