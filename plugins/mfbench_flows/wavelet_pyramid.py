"""A flow of images by the levels of their Haar transform (Yu, Derpanis and Brubaker 2020).

With low_1 = x and (low_{i+1}, detail_i) = Haar(low_i), orthonormal, for L levels

    log p(x) = log p(low_{L+1}) + sum_i log p(detail_i | low_{i+1}):

an exact density of all pixels, each term that of a flow of its own.
"""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn

from mfbench_flows.haar import Haar
from mfbench_flows.multiscale import MultiscaleFlow
from mfbench_flows.sizes import Shape, can_halve, factors, halved
from mfbench_flows.step import log_standard_normal


class WaveletPyramid(nn.Module):
    """Images (n, c, h, w) to z ~ N(0, I), (n, c h w): those of detail_1 first, of low_{L+1} last.

    The flows of the details work at their own size; that of the coarsest low-pass has a squeeze where its
    size halves. What flows are conditional on is the low-pass over its gain, that is the mean image, which
    has one scale at all levels.
    """

    def __init__(
        self, shape: Shape, *, levels: int, steps: int, width: int, features: int, who: str = "wavelet flow"
    ) -> None:
        """`levels`: L; Unsupported, naming `who`, where the size does not halve so often."""
        super().__init__()
        channels, size = shape[0], (shape[1], shape[2])
        halved(size, who, levels)
        haars, flows = [], []
        self.shapes = [shape]  # of low_1, ..., low_{L+1}
        for _ in range(levels):
            haar = Haar(factors(size))
            size = halved(size, who)
            low = channels, *size
            detail = (haar.blocks - 1) * channels, *size
            haars.append(haar)
            flows.append(
                MultiscaleFlow(detail, halvings=0, steps=steps, width=width, condition=low, features=features)
            )
            self.shapes.append(low)
        self.haars, self.flows = nn.ModuleList(haars), nn.ModuleList(flows)
        self.coarsest = MultiscaleFlow(
            self.shapes[-1],
            halvings=int(can_halve(size)),
            steps=steps,
            width=width,
            who=f"{who}: levels = {levels}",
        )
        self.gains = [math.prod(haar.gain for haar in haars[:level]) for level in range(levels + 1)]

    def analyse(self, x: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """([low_1, ..., low_{L+1}], [detail_1, ..., detail_L])."""
        lows, details = [x], []
        for haar in self.haars:
            low, detail = haar(lows[-1])
            lows.append(low)
            details.append(detail)
        return lows, details

    def terms(self, x: Tensor) -> list[tuple[Tensor, Tensor]]:
        """(z, log |det|) of each term of the density: the details' by level, then the coarsest low-pass's."""
        lows, details = self.analyse(x)
        answers = [
            flow(detail, low / gain)
            for flow, detail, low, gain in zip(self.flows, details, lows[1:], self.gains[1:])
        ]
        return [*answers, self.coarsest(lows[-1])]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """z (n, c h w), and log |det dz/dx|, (n,) nats."""
        z, log_dets = zip(*self.terms(x))
        return torch.cat(z, 1), torch.stack(log_dets).sum(0)

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x), (n,) nats."""
        z, log_det = self(x)
        return log_standard_normal(z) + log_det

    def inverse(self, z: Tensor, level: int = 1) -> Tensor:
        """low_level, to rounding, of its z (n, numbers of low_level), details first; level 1: the image."""
        coarse = math.prod(self.shapes[-1])
        low = self.coarsest.inverse(z[:, z.shape[1] - coarse :])
        return self.refine(low, z[:, : z.shape[1] - coarse], level)

    def refine(self, low: Tensor, z: Tensor, level: int = 1) -> Tensor:
        """low_level whose low-pass at some coarser level is `low`, with the details in between from z.

        z: (n, numbers of low_level less those of `low`), in the order of `forward`.
        """
        between = range(level - 1, self.shapes.index((low.shape[1], low.shape[2], low.shape[3])))
        counts = [math.prod(self.shapes[i]) - math.prod(self.shapes[i + 1]) for i in between]
        parts = torch.split(z, counts, 1) if counts else ()
        for i, part in reversed(list(zip(between, parts))):
            detail = cast(MultiscaleFlow, self.flows[i]).inverse(part, low / self.gains[i + 1])
            low = cast(Haar, self.haars[i]).inverse(low, detail)
        return low

    @torch.no_grad()
    def initialise(self, x: Tensor) -> None:
        """The data-dependent initialisation of every flow, from this first batch."""
        lows, details = self.analyse(x)
        for i, flow in enumerate(self.flows):
            cast(MultiscaleFlow, flow).initialise(details[i], lows[i + 1] / self.gains[i + 1])
        self.coarsest.initialise(lows[-1])
