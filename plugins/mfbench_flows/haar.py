"""The orthonormal Haar transform of images (Mallat 2009, Sec. 7.7): one level."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from mfbench_flows.sizes import Size
from mfbench_flows.squeeze import Squeeze


class Haar(nn.Module):
    """x (n, c, h, w) to the low-pass (n, c, h / fh, w / fw) and (fh fw - 1) c channels of details.

    An orthonormal map, so its log |det| is 0. The low-pass is the mean of each block times `gain`.
    """

    matrix: Tensor

    def __init__(self, factors: Size = (2, 2)) -> None:
        """`factors`: 2 for each side that is halved, 1 for a side of a single pixel."""
        super().__init__()
        self.squeeze = Squeeze(factors)
        self.blocks = math.prod(factors)
        self.gain = math.sqrt(self.blocks)
        matrix = torch.kron(_one_side(factors[0]), _one_side(factors[1]))
        self.register_buffer("matrix", matrix, persistent=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(low-pass, details)."""
        pixels = self.squeeze(x)[0].unflatten(1, (-1, self.blocks))  # n, c, block, h', w'
        bands = torch.einsum("bp,ncphw->nbchw", self.matrix, pixels)
        return bands[:, 0], bands[:, 1:].flatten(1, 2)

    def inverse(self, low: Tensor, details: Tensor) -> Tensor:
        """The image."""
        bands = torch.cat([low[:, None], details.unflatten(1, (self.blocks - 1, -1))], 1)
        pixels = torch.einsum("bp,nbchw->ncphw", self.matrix, bands)
        return self.squeeze.inverse(pixels.flatten(1, 2))


def _one_side(factor: int) -> Tensor:
    """Rows: mean and difference of neighbours, normalised; the identity where a side is not halved."""
    if factor == 1:
        return torch.ones(1, 1, dtype=torch.float64)
    return torch.tensor([[1.0, 1.0], [1.0, -1.0]], dtype=torch.float64) / math.sqrt(2)
