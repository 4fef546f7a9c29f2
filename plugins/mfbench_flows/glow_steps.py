"""Glow's steps in a row (Kingma and Dhariwal 2018, Fig. 2a), with what is linear in each as one map."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import torch
from torch import Tensor

from mfbench_flows.actnorm import ActNorm
from mfbench_flows.convolution import InvertibleConvolution, at_each_pixel, lu_factors
from mfbench_flows.coupling import AffineCoupling
from mfbench_flows.step import Chain, Step


class GlowSteps(Chain):
    """`count` times ActNorm, invertible 1x1 convolution and affine coupling, of images (n, channels, h, w).

    W ((x - shift) / scale) is one matrix and one offset at each pixel, W = P L (U + diag(s)). They are made
    for all steps together, and so is the part of log |det| that does not depend on x.
    """

    def __init__(self, channels: int, count: int, features: int, width: int) -> None:
        """`features`, `width`: of the couplings."""
        super().__init__(_in_turn(channels, count, features, width))

    def forward(self, x: Tensor, features: Tensor | None = None) -> tuple[Tensor, Tensor]:
        matrices, offsets, log_det = self._affine()
        log_dets = []
        for matrix, offset, coupling in zip(matrices.unbind(), offsets.unbind(), list(self.steps)[2::3]):
            x, term = coupling(at_each_pixel(matrix, x, offset), features)
            log_dets.append(term)
        return x, torch.stack(log_dets).sum(0) + log_det * x.shape[2] * x.shape[3]

    def _affine(self) -> tuple[Tensor, Tensor, Tensor]:
        """Matrices (count, c, c), offsets (count, c, 1), and log |det| a pixel, of all steps: a scalar."""
        steps = list(self.steps)

        def stacked(place: int, name: str) -> Tensor:
            return torch.stack([cast(Tensor, getattr(step, name)) for step in steps[place::3]])

        log_scale, shift = stacked(0, "log_scale").flatten(1), stacked(0, "shift").flatten(2)
        log_diagonal = stacked(1, "log_diagonal")
        lower, upper = lu_factors(stacked(1, "lower"), stacked(1, "upper"), stacked(1, "sign"), log_diagonal)
        matrices = stacked(1, "permutation") @ lower @ (upper * (-log_scale).exp()[:, None])
        return matrices, -matrices @ shift, (log_diagonal - log_scale).sum()


def _in_turn(channels: int, count: int, features: int, width: int) -> Iterator[Step]:
    for _ in range(count):
        yield ActNorm(channels)
        yield InvertibleConvolution(channels)
        yield AffineCoupling(channels, features, width)
