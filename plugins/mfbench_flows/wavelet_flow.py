"""A flow of pixels by the levels of their Haar transform (Yu, Derpanis and Brubaker 2020)."""

from __future__ import annotations

import math
from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from mfbench import GeneratesLevels, Ref, SuperResolver, UserError
from mfbench_flows.arguments import require_at_least, require_shape
from mfbench_flows.pixel_flow import ROWS, PixelFlow, PixelFlowDensity
from mfbench_flows.sizes import Shape
from mfbench_flows.wavelet_pyramid import WaveletPyramid


class WaveletFlow(PixelFlow, SuperResolver, GeneratesLevels):
    """`levels` halvings; a flow of `steps` steps for the details of each, given the low-pass, and one for the
    last low-pass. `width`: channels of the couplings' networks; `features`: of what they see of the low-pass.
    """

    name: ClassVar[str] = "wavelet_flow"

    def __init__(
        self,
        levels: int = 2,
        steps: int = 4,
        width: int = 32,
        features: int = 16,
        iterations: int = 2000,
        batch_size: int = 32,
        learning_rate: float = 2e-3,
        dequantise: bool = True,
        grey_levels: int = 256,
        temperature: float = 1.0,
    ) -> None:
        super().__init__(iterations, batch_size, learning_rate, dequantise, grey_levels, temperature)
        require_at_least(self.name, 1, levels=levels, steps=steps, width=width, features=features)
        self.levels = levels
        self.steps = steps
        self.width = width
        self.features = features

    def make_flow(self, shape: Shape) -> nn.Module:
        return WaveletPyramid(
            shape,
            levels=self.levels,
            steps=self.steps,
            width=self.width,
            features=self.features,
            who=self.name,
        )

    @property
    def pyramid(self) -> WaveletPyramid:
        """The bijection itself, in model space."""
        return cast(WaveletPyramid, self.flow)

    @torch.no_grad()
    def generate(self, count: int, level: int, temperature: float, *, rng: torch.Generator) -> Tensor:
        """`count` images of a level, 1 the full size and `levels` + 1 the coarsest: block means of the images
        that go on from them. z ~ N(0, temperature^2 I).
        """
        shape = self._shape_of(level, "level", 1)
        require_at_least(self.name, 0, temperature=temperature)
        dtype = self.space.scale.dtype
        z = torch.randn(count, math.prod(shape), generator=rng, dtype=dtype, device=rng.device)
        parts = torch.split(temperature * z, ROWS)
        low = torch.cat([self.pyramid.inverse(part, level) for part in parts])
        return self.space.to_data(low / self.pyramid.gains[level - 1]).clamp(0, 1)

    @torch.no_grad()
    def super_resolve(
        self, x_low: Tensor, from_level: int, temperature: float, *, rng: torch.Generator
    ) -> Tensor:
        """Full-size images whose block means are x_low, exactly but for values that are held to [0, 1].

        `from_level` = 2 for half size, 3 for a quarter, ..., `levels` + 1; z ~ N(0, temperature^2 I).
        UserError where there is no such level, or x_low has not its size.
        """
        require_shape(self.name, x_low, self._shape_of(from_level, "from_level", 2), from_level)
        require_at_least(self.name, 0, temperature=temperature)
        low = self.pyramid.gains[from_level - 1] * self.space.to_model(x_low)
        size = (len(low), math.prod(self.shape) - low[0].numel())
        z = temperature * torch.randn(size, generator=rng, dtype=low.dtype, device=low.device)
        parts = zip(torch.split(low, ROWS), torch.split(z, ROWS))
        images = torch.cat([self.pyramid.refine(*part) for part in parts])
        return self.space.to_data(images).clamp(0, 1)

    def _shape_of(self, level: int, name: str, least: int) -> Shape:
        """Of the images of a level; UserError where there is no such level."""
        if not least <= level <= self.levels + 1:
            raise UserError(f"wavelet_flow: {name} = {level}: between {least} and {self.levels + 1}")
        return self.pyramid.shapes[level - 1]


class WaveletFlowDensity(PixelFlowDensity):
    """Of `wavelet_flow`."""

    model = WaveletFlow

    def __init__(self, generator: Ref = "wavelet_flow", dequantisations: int = 0) -> None:
        super().__init__(generator, dequantisations)
