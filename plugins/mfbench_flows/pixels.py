"""Pixel values: levels and the noise between them, and the space in which flows work.

A flow is the density of continuous values. Images have levels k / (K - 1), so it is trained on

    v = (k + u) / K,  u uniform on [0, 1):

uniform dequantisation (Theis et al. 2016, Sec. 3.1). With P(k) = integral of K^D p((k + u) / K) du / K^D over
the cube of u, the probability that p gives the levels of D values, Jensen's inequality says

    log P(k) >= E_u log p((k + u) / K) - D log K.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


def levels_of(x: Tensor, levels: int) -> Tensor:
    """The levels 0 to K - 1, in x's dtype, of values in [0, 1]: floor(K x).

    It undoes both k / (K - 1) and (k + u) / K.
    """
    return (x * levels).floor().clamp(0, levels - 1)


def dequantised(x: Tensor, levels: int, rng: torch.Generator) -> Tensor:
    """(k + u) / K with fresh u, for the levels k of x."""
    noise = torch.rand(x.shape, generator=rng, dtype=x.dtype, device=x.device)
    return (levels_of(x, levels) + noise) / levels


def bits_per_dimension(log_prob: Tensor, dimensions: int, levels: int = 256) -> Tensor:
    """Log-densities (nats, images in [0, 1]) as the literature's bits per dimension of the discrete levels.

    -(log p - D log K) / (D log 2): another unit, lower is better, 8 for the uniform density at K = 256.
    """
    return -(log_prob / dimensions - math.log(levels)) / math.log(2)


class ModelSpace(nn.Module):
    """Data space, shifted and scaled so that all training pixels together have mean 0 and variance 1."""

    shift: Tensor
    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("shift", torch.zeros(()))
        self.register_buffer("scale", torch.ones(()))

    def set_to(self, x: Tensor) -> None:
        """From training images x; constant ones keep their scale."""
        scale, shift = torch.std_mean(x.double(), correction=0)
        self.shift.copy_(shift)
        self.scale.copy_(torch.where(scale > 0, scale, torch.ones_like(scale)))

    def to_model(self, x: Tensor) -> Tensor:
        """(x - shift) / scale."""
        return (x - self.shift) / self.scale

    def to_data(self, x: Tensor) -> Tensor:
        """The inverse."""
        return x * self.scale + self.shift

    def log_det(self, dimensions: int) -> Tensor:
        """log |det| of `to_model` on so many numbers, in nats: a scalar."""
        return -dimensions * self.scale.log()
