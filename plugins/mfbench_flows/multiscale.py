"""The multi-scale flow of Glow (Kingma and Dhariwal 2018, Fig. 2b), conditional on an image where asked."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import cast

import torch
from torch import Tensor, nn

from mfbench import Unsupported
from mfbench_flows.actnorm import ActNorm
from mfbench_flows.convolution import InvertibleConvolution
from mfbench_flows.coupling import AffineCoupling
from mfbench_flows.features import ConditionFeatures
from mfbench_flows.glow_steps import GlowSteps
from mfbench_flows.sizes import Shape, factors, halved
from mfbench_flows.squeeze import Squeeze
from mfbench_flows.step import Chain, Step, log_standard_normal


class MultiscaleFlow(nn.Module):
    """Images (n, c, h, w) to z ~ N(0, I), (n, c h w).

    There are `halvings` scales, each a squeeze and then `steps` times ActNorm, 1x1 convolution and coupling;
    with 0 halvings there is one scale, without a squeeze. After each scale but the last, half of the channels
    leave. Glow's learned prior of what leaves, a Gaussian given what stays, is one more coupling here, so
    that all of z is standard normal. With a condition each scale starts with a scale and a shift of every
    number that the condition alone gives (the injector of Lugmayr et al. 2020): what it tells is taken out
    at once, and the steps are left with the rest.
    """

    def __init__(
        self,
        shape: Shape,
        *,
        halvings: int,
        steps: int,
        width: int,
        condition: Shape | None = None,
        features: int = 16,
        who: str = "flow",
    ) -> None:
        """`condition`: (channels, height, width) of the image that the flow is conditional on; its sides are
        multiples or fractions of those of every scale, and each scale has `features` channels of its own to
        see it by. `who`: named where the size cannot be halved so often, and where the pixels of one channel
        would be independent (Unsupported).
        """
        super().__init__()
        halved((shape[1], shape[2]), who, halvings)
        if not halvings and condition is None and shape[0] == 1 and shape[1:] != (1, 1):
            raise Unsupported(
                f"{who}: a flow of one channel of {shape[1]} x {shape[2]}, which is not halved, takes its "
                "pixels as independent"
            )
        self.shapes = list(_scales(shape, halvings))
        self.conditional = condition is not None
        seen = features if self.conditional else 0
        stages: list[Step] = []
        for scale, (channels, *_) in enumerate(self.shapes):
            squeeze = [Squeeze(factors(_size_before(shape, self.shapes, scale)))] if halvings else []
            given = [AffineCoupling(channels, seen, width, kept=0)] if seen else []
            chain: list[Step] = [*squeeze, *given, *_steps(channels, steps, seen, width)]
            if scale < len(self.shapes) - 1:
                chain.append(AffineCoupling(channels, seen, width))
            stages.append(Chain(chain))
        self.stages = nn.ModuleList(stages)
        channels_seen = condition[0] if condition else 0
        self.readers = nn.ModuleList(
            ConditionFeatures(channels_seen, features, (height, across))
            for _, height, across in (self.shapes if condition else [])
        )

    def forward(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """z (n, c h w), and log |det dz/dx|, (n,) nats."""
        parts, log_det = [], x.new_zeros(len(x))
        for scale, (stage, features) in enumerate(self._seen(condition)):
            x, term = stage(x, features)
            log_det = log_det + term
            x, leaving = self._part(x, scale)
            parts.append(leaving.flatten(1))
        return torch.cat(parts, 1), log_det

    def inverse(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """x, to rounding, of z (n, c h w)."""
        counts = [math.prod(self._leaving(scale)) for scale in range(len(self.shapes))]
        parts = torch.split(z, counts, 1)
        x = z.new_empty(len(z), 0, *self.shapes[-1][1:])
        for scale, (stage, features) in reversed(list(enumerate(self._seen(condition)))):
            x = torch.cat([x, parts[scale].unflatten(1, self._leaving(scale))], 1)
            x = stage.inverse(x, features)
        return x

    @torch.no_grad()
    def initialise(self, x: Tensor, condition: Tensor | None = None) -> None:
        """The data-dependent initialisation of every ActNorm, from this first batch."""
        for scale, (stage, features) in enumerate(self._seen(condition)):
            x, _ = self._part(stage.initialise(x, features), scale)

    def log_prob(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """log p(x | condition) = log N(z; 0, I) + log |det dz/dx|, (n,) nats."""
        z, log_det = self(x, condition)
        return log_standard_normal(z) + log_det

    def _seen(self, condition: Tensor | None) -> Iterator[tuple[Step, Tensor | None]]:
        """Each scale, with what it sees of the condition."""
        if (condition is not None) != self.conditional:
            raise ValueError("a conditional flow needs its condition, and one that is not has none")
        for scale, stage in enumerate(self.stages):
            yield cast(Step, stage), self.readers[scale](condition) if self.conditional else None

    def _part(self, x: Tensor, scale: int) -> tuple[Tensor, Tensor]:
        """What stays and what leaves after a scale."""
        leaving = self._leaving(scale)[0]
        return x[:, : x.shape[1] - leaving], x[:, x.shape[1] - leaving :]

    def _leaving(self, scale: int) -> Shape:
        channels, height, width = self.shapes[scale]
        last = scale == len(self.shapes) - 1
        return channels if last else channels - channels // 2, height, width


def _scales(shape: Shape, halvings: int) -> Iterator[Shape]:
    """The shapes on which the steps of each scale work."""
    if not halvings:
        yield shape
    for _ in range(halvings):
        channels, height, width = shape
        across, along = factors((height, width))
        shape = channels * across * along, height // across, width // along
        yield shape
        shape = shape[0] // 2, shape[1], shape[2]


def _size_before(shape: Shape, shapes: list[Shape], scale: int) -> tuple[int, int]:
    before = shapes[scale - 1] if scale else shape
    return before[1], before[2]


def _steps(channels: int, steps: int, features: int, width: int) -> Iterator[Step]:
    """Glow's steps. A lone channel without a condition has no coupling: nothing is left to depend on."""
    if channels // 2 + features:
        yield GlowSteps(channels, steps, features, width)
    else:
        for _ in range(steps):
            yield ActNorm(channels)
            yield InvertibleConvolution(channels)
