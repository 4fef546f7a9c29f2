"""Glow on pixels (Kingma and Dhariwal 2018)."""

from __future__ import annotations

from typing import ClassVar

from torch import nn

from mfbench import Ref
from mfbench_flows.arguments import require_at_least
from mfbench_flows.multiscale import MultiscaleFlow
from mfbench_flows.pixel_flow import PixelFlow, PixelFlowDensity
from mfbench_flows.sizes import Shape


class Glow(PixelFlow):
    """`scales` times a squeeze and `steps` steps; half of the channels leave after each scale but the last.

    `width`: channels of the couplings' networks.
    """

    name: ClassVar[str] = "glow"

    def __init__(
        self,
        scales: int = 2,
        steps: int = 4,
        width: int = 32,
        iterations: int = 2000,
        batch_size: int = 32,
        learning_rate: float = 2e-3,
        dequantise: bool = True,
        grey_levels: int = 256,
        temperature: float = 1.0,
    ) -> None:
        super().__init__(iterations, batch_size, learning_rate, dequantise, grey_levels, temperature)
        require_at_least(self.name, 1, scales=scales, steps=steps, width=width)
        self.scales = scales
        self.steps = steps
        self.width = width

    def make_flow(self, shape: Shape) -> nn.Module:
        return MultiscaleFlow(shape, halvings=self.scales, steps=self.steps, width=self.width, who=self.name)


class GlowDensity(PixelFlowDensity):
    """Of `glow`."""

    model = Glow

    def __init__(self, generator: Ref = "glow", dequantisations: int = 0) -> None:
        super().__init__(generator, dequantisations)
