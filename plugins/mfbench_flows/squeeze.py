"""Squeezing pixels into channels (Dinh et al. 2017, Sec. 3.6)."""

from __future__ import annotations

from torch import Tensor

from mfbench_flows.sizes import Size
from mfbench_flows.step import Step


class Squeeze(Step):
    """(n, c, h, w) -> (n, c fh fw, h / fh, w / fw): each block of fh x fw pixels becomes channels.

    Channel (c, i, j) of the result, in this order, is the pixel of row i and column j of each block.
    """

    def __init__(self, factors: Size = (2, 2)) -> None:
        super().__init__()
        self.factors = factors

    def forward(self, x: Tensor, features: Tensor | None = None) -> tuple[Tensor, Tensor]:
        across, along = self.factors
        blocks = x.unflatten(3, (-1, along)).unflatten(2, (-1, across))  # n, c, h', fh, w', fw
        return blocks.permute(0, 1, 3, 5, 2, 4).flatten(1, 3), x.new_zeros(len(x))

    def inverse(self, z: Tensor, features: Tensor | None = None) -> Tensor:
        blocks = z.unflatten(1, (-1, *self.factors))  # n, c, fh, fw, h', w'
        return blocks.permute(0, 1, 4, 2, 5, 3).flatten(4, 5).flatten(2, 3)
