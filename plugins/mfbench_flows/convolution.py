"""Invertible 1x1 convolution in LU form (Kingma and Dhariwal 2018, Sec. 3.2, Eq. 10-11)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mfbench_flows.step import Step


class InvertibleConvolution(Step):
    """z = W x at each pixel, W = P L (U + diag(s)), log |det| = h w sum log |s|.

    W starts as a random rotation. The permutation P and the signs of s stay what they are.
    """

    permutation: Tensor
    sign: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        rotation, _ = torch.linalg.qr(torch.randn(channels, channels, dtype=torch.float64))
        permutation, lower, upper = (part.float() for part in torch.linalg.lu(rotation))
        self.register_buffer("permutation", permutation)
        self.register_buffer("sign", upper.diagonal().sign())
        self.lower = nn.Parameter(lower.tril(-1))
        self.upper = nn.Parameter(upper.triu(1))
        self.log_diagonal = nn.Parameter(upper.diagonal().abs().log())

    def factors(self) -> tuple[Tensor, Tensor]:
        """L with its unit diagonal, and U + diag(s); (channels, channels) each."""
        unit = torch.diag(torch.ones_like(self.sign))
        diagonal = torch.diag(self.sign * self.log_diagonal.exp())
        return self.lower.tril(-1) + unit, self.upper.triu(1) + diagonal

    def forward(self, x: Tensor, features: Tensor | None = None) -> tuple[Tensor, Tensor]:
        lower, upper = self.factors()
        weight = self.permutation @ lower @ upper
        log_det = self.log_diagonal.sum() * x.shape[2] * x.shape[3]
        return _at_each_pixel(weight, x), log_det.expand(len(x))

    def inverse(self, z: Tensor, features: Tensor | None = None) -> Tensor:
        lower, upper = self.factors()
        half = torch.linalg.solve_triangular(lower, self.permutation.T, upper=False, unitriangular=True)
        weight = torch.linalg.solve_triangular(upper, half, upper=True)
        return _at_each_pixel(weight, z)


def _at_each_pixel(matrix: Tensor, x: Tensor) -> Tensor:
    """As a product of matrices: for so few channels a convolution takes three times as long."""
    return torch.matmul(matrix, x.flatten(2)).view_as(x)
