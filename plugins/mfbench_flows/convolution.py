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
        return lu_factors(self.lower, self.upper, self.sign, self.log_diagonal)

    def forward(self, x: Tensor, features: Tensor | None = None) -> tuple[Tensor, Tensor]:
        lower, upper = self.factors()
        log_det = self.log_diagonal.sum() * x.shape[2] * x.shape[3]
        return at_each_pixel(self.permutation @ lower @ upper, x), log_det.expand(len(x))

    def inverse(self, z: Tensor, features: Tensor | None = None) -> Tensor:
        lower, upper = self.factors()
        half = torch.linalg.solve_triangular(lower, self.permutation.T, upper=False, unitriangular=True)
        return at_each_pixel(torch.linalg.solve_triangular(upper, half, upper=True), z)


def lu_factors(lower: Tensor, upper: Tensor, sign: Tensor, log_diagonal: Tensor) -> tuple[Tensor, Tensor]:
    """L with its unit diagonal, and U + diag(s), s = sign exp(log_diagonal): (..., c, c) each."""
    unit = torch.eye(lower.shape[-1], dtype=lower.dtype, device=lower.device)
    return lower.tril(-1) + unit, upper.triu(1) + torch.diag_embed(sign * log_diagonal.exp())


def at_each_pixel(matrix: Tensor, x: Tensor, offset: Tensor | None = None) -> Tensor:
    """matrix x + offset, offset (c, 1). As a product of matrices: for so few channels a convolution takes
    three times as long.
    """
    flat, matrices = x.flatten(2), matrix.expand(len(x), -1, -1)
    product = torch.bmm(matrices, flat) if offset is None else torch.baddbmm(offset, matrices, flat)
    return product.view_as(x)
