"""A hierarchy of autoencoders and conditional flows (Tu et al. 2023, Sec. 2.1, Eq. 1-3).

Level i, 1 the finest: with x_{i+1} = d(x_i) the means of blocks,

    y_i = f_i(x_i),   z_i = g_i(y_i; x_hat_{i+1}),   x_hat_i = f_i^+(g_i^{-1}(z_i; x_hat_{i+1}); x_hat_{i+1});

the coarsest level has no condition.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from mfbench_flows.autoencoder import Autoencoder
from mfbench_flows.multiscale import MultiscaleFlow
from mfbench_flows.sizes import Shape, Size, can_halve, halved, resized


class Hierarchy(nn.Module):
    """`levels` autoencoders and flows. Images are (n, c, h, w) in model space, those of level i smaller.

    The code of a level has `code_factor` c channels and a size of the image's, halved `code_halvings` times
    (one pixel stays one). Its flow has one squeeze where the code's size halves.
    """

    def __init__(
        self,
        shape: Shape,
        *,
        levels: int,
        code_factor: int,
        code_halvings: int,
        width: int,
        steps: Sequence[int],
        flow_width: int,
        features: int,
        who: str = "hierarchy",
    ) -> None:
        """`width`: of the autoencoders; `flow_width`, `features`, `steps` of the flows, these by level, the
        last number for all coarser ones. Unsupported, naming `who`, where a size does not halve evenly.
        """
        super().__init__()
        channels, size = shape[0], (shape[1], shape[2])
        self.shapes: list[Shape] = [
            (channels, *halved(size, f"{who}: levels = {levels}", i)) for i in range(levels)
        ]
        sizes = [
            _code_sizes((height, across), code_halvings, f"{who}: the codes")
            for _, height, across in self.shapes
        ]
        self.code_shapes: list[Shape] = [(code_factor * channels, *each[-1]) for each in sizes]
        conditions: list[Shape | None] = [*self.shapes[1:], None]
        self.autoencoders = nn.ModuleList(
            Autoencoder(channels, code_factor * channels, each, width, channels if condition else 0)
            for each, condition in zip(sizes, conditions)
        )
        self.flows = nn.ModuleList(
            MultiscaleFlow(
                code,
                halvings=int(can_halve((code[1], code[2]))),
                steps=steps[min(i, len(steps) - 1)],
                width=flow_width,
                condition=condition,
                features=features,
                who=f"{who}: the codes",
            )
            for i, (code, condition) in enumerate(zip(self.code_shapes, conditions))
        )

    @property
    def levels(self) -> int:
        return len(self.shapes)

    def code_size(self, level: int) -> int:
        """d_i: numbers in the code of a level."""
        return math.prod(self.code_shapes[level - 1])

    def at_level(self, x: Tensor, level: int) -> Tensor:
        """x_level of x_1: means of blocks."""
        return resized(x, self.shapes[level - 1][1:])

    def encode(self, x: Tensor, level: int = 1) -> list[Tensor]:
        """[y_level, ..., y_L] of full-size images."""
        return [
            cast(Autoencoder, self.autoencoders[i - 1]).encoder(self.at_level(x, i))
            for i in range(level, self.levels + 1)
        ]

    def decode(self, codes: Sequence[Tensor], level: int = 1) -> list[Tensor]:
        """[x_hat_level, ..., x_hat_L] of [y_level, ..., y_L]: the decoder cascade."""
        images: list[Tensor] = []
        low = None
        for i in range(self.levels, level - 1, -1):
            low = self.decode_level(i, codes[i - level], low)
            images.insert(0, low)
        return images

    def decode_level(self, level: int, code: Tensor, low: Tensor | None) -> Tensor:
        """x_hat_level of y_level and x_hat_{level + 1} (None at the coarsest)."""
        answer: Tensor = cast(Autoencoder, self.autoencoders[level - 1]).decoder(code, low)
        return answer

    def flow(self, level: int) -> MultiscaleFlow:
        """g_level."""
        return cast(MultiscaleFlow, self.flows[level - 1])

    def latents(self, codes: Sequence[Tensor], level: int = 1) -> Iterator[tuple[Tensor, Tensor]]:
        """(z_i, log |det dg_i/dy_i|) for i = level, ..., L, of [y_level, ..., y_L]."""
        for i, (code, low) in enumerate(zip(codes, self.conditions(codes, level)), level):
            yield self.flow(i)(code, low)

    def conditions(self, codes: Sequence[Tensor], level: int = 1) -> list[Tensor | None]:
        """[x_hat_{level + 1}, ..., x_hat_L, None] of [y_level, ..., y_L]: what the flows are given. The
        costliest decoder, that of `level`, is not needed for them.
        """
        return [*self.decode(codes[1:], level + 1), None]

    def generate(self, latents: Sequence[Tensor], level: int = 1, low: Tensor | None = None) -> Tensor:
        """x_hat_level of [z_level, z_{level + 1}, ...], down from `low`, the image of the level after the
        last z; None: there is one z a level, to the coarsest.
        """
        for i in range(level + len(latents) - 1, level - 1, -1):
            code = self.flow(i).inverse(latents[i - level], low)
            low = self.decode_level(i, code, low)
        return cast(Tensor, low)

    @torch.no_grad()
    def initialise_flows(self, x: Tensor) -> None:
        """The data-dependent initialisation of every flow, from this first batch of images."""
        codes = self.encode(x)
        for i, (code, low) in enumerate(zip(codes, self.conditions(codes)), 1):
            self.flow(i).initialise(code, low)


def _code_sizes(size: Size, halvings: int, who: str) -> list[Size]:
    """From the image's size to its code's."""
    sizes = [size]
    while len(sizes) <= halvings and sizes[-1] != (1, 1):
        sizes.append(halved(size, who, len(sizes)))
    return sizes
