"""Glow's steps in a row (Kingma and Dhariwal 2018, Fig. 2a), with what is linear in each as one map."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from mfbench_flows.actnorm import statistics
from mfbench_flows.convolution import InvertibleConvolution, at_each_pixel, lu_factors
from mfbench_flows.coupling import AffineCoupling, log_scales
from mfbench_flows.step import Step


class GlowSteps(Step):
    """`count` times ActNorm, invertible 1x1 convolution and affine coupling, of images (n, channels, h, w).

    W ((x - shift) / scale) is one matrix and one offset at each pixel, W = P L (U + diag(s)). The parameters
    of all steps are kept together, (count, ...): so what is linear is made for all steps at once, and an
    optimiser has five tensors to go over and not five a step.
    """

    permutation: Tensor
    sign: Tensor

    def __init__(self, channels: int, count: int, features: int, width: int) -> None:
        """`features`, `width`: of the couplings."""
        super().__init__()
        pairs = [
            (InvertibleConvolution(channels), AffineCoupling(channels, features, width)) for _ in range(count)
        ]
        convolutions, couplings = zip(*pairs)
        for name in ("permutation", "sign"):
            self.register_buffer(name, torch.stack([getattr(each, name) for each in convolutions]))
        for name in ("lower", "upper", "log_diagonal"):
            together = torch.stack([getattr(each, name).detach() for each in convolutions])
            self.register_parameter(name, nn.Parameter(together))
        self.shift = nn.Parameter(torch.zeros(count, channels))
        self.log_scale = nn.Parameter(torch.zeros(count, channels))
        self.couplings = nn.ModuleList(couplings)

    def forward(self, x: Tensor, features: Tensor | None = None) -> tuple[Tensor, Tensor]:
        matrices, offsets = self._linear()
        gates, changed = [], 0
        for matrix, offset, module in zip(matrices.unbind(), offsets.unbind(), self.couplings):
            coupling = cast(AffineCoupling, module)
            a, b = _Linear.apply(x, matrix, offset, coupling.kept)
            x, gate = coupling.of_parts(a, b, features)
            gates.append(gate)
            changed += b[0].numel()
        constant = (self.log_diagonal - self.log_scale).sum() * x.shape[2] * x.shape[3]
        return x, log_scales(torch.stack(gates).sum(0), changed) + constant

    def inverse(self, z: Tensor, features: Tensor | None = None) -> Tensor:
        _, offsets = self._linear()
        lower, upper = self._factors()
        half = torch.linalg.solve_triangular(lower, self.permutation.mT, upper=False, unitriangular=True)
        inverses = torch.linalg.solve_triangular(upper, half, upper=True)
        for inverse, offset, module in reversed(list(zip(inverses, offsets, self.couplings))):
            z = at_each_pixel(inverse, cast(AffineCoupling, module).inverse(z, features) - offset[:, None])
        return z

    @torch.no_grad()
    def initialise(self, x: Tensor, features: Tensor | None = None) -> Tensor:
        for i, coupling in enumerate(self.couplings):
            shift, log_scale = statistics(x)
            self.shift[i] = shift
            self.log_scale[i] = log_scale
            matrices, offsets = self._linear()
            x = coupling(at_each_pixel(matrices[i], x, offsets[i]), features)[0]
        return x

    def _factors(self) -> tuple[Tensor, Tensor]:
        """L, and (U + diag(s)) / scale; (count, c, c) each."""
        lower, upper = lu_factors(self.lower, self.upper, self.sign, self.log_diagonal)
        return lower, upper * (-self.log_scale).exp()[:, None]

    def _linear(self) -> tuple[Tensor, Tensor]:
        """Matrices (count, c, c) and offsets (count, c, 1)."""
        lower, upper = self._factors()
        matrices = self.permutation @ lower @ upper
        return matrices, -matrices @ self.shift[..., None]


class _Linear(torch.autograd.Function):
    """y = matrix x + offset at each pixel, as its first `kept` channels and the others; differentiable once.

    Written out because autograd would fill gradients of parts of y with zeros and add them.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, matrix: Tensor, offset: Tensor, kept: int) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(x, matrix)
        y = at_each_pixel(matrix, x, offset)
        return y[:, :kept].contiguous(), y[:, kept:]  # convolutions read what is contiguous

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, of_a: Tensor, of_b: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        x, matrix = ctx.saved_tensors
        of_y = torch.cat([of_a, of_b], 1).flatten(2)
        of_x = torch.bmm(matrix.mT.expand(len(x), -1, -1), of_y).view_as(x)
        of_matrix = torch.bmm(of_y, x.flatten(2).mT).sum(0)
        return of_x, of_matrix, of_y.sum((0, 2))[:, None], None
