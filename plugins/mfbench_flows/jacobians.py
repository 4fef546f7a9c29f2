"""Jacobians of networks, sample by sample, and the volumes by which they stretch."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.func import jvp, vjp, vmap

_ROWS = 16
_DIRECTIONS = 64
"""Samples, and directions of each, differentiated at once."""


def by_columns(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """(n, outputs, inputs): the Jacobian of a map (n, inputs) -> (n, outputs) of independent rows, at x.

    In forward mode, for fewer inputs than outputs.
    """
    directions = torch.eye(x.shape[1], dtype=x.dtype, device=x.device)

    def columns(row: Tensor) -> Tensor:
        def along(direction: Tensor) -> Tensor:
            _, column = jvp(lambda point: function(point[None])[0], (row,), (direction,))
            return column

        return vmap(along, out_dims=1, chunk_size=_DIRECTIONS)(directions)

    return vmap(columns, chunk_size=_ROWS)(x)


def by_rows(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """The same in reverse mode, for fewer outputs than inputs."""

    def rows(row: Tensor) -> Tensor:
        answer, back = vjp(lambda point: function(point[None])[0], row)
        directions = torch.eye(len(answer), dtype=x.dtype, device=x.device)
        return vmap(lambda direction: back(direction)[0], chunk_size=_DIRECTIONS)(directions)

    return vmap(rows, chunk_size=_ROWS)(x)


def log_volume(jacobian: Tensor) -> Tensor:
    """1/2 log det(J^T J), (n,), of J (n, m, d), m >= d: the d-dimensional volume of a unit cube's image.

    By QR in float64, which does not square the condition number; -inf where J has not full rank.
    """
    triangle = torch.linalg.qr(jacobian.double(), mode="r").R
    return triangle.diagonal(dim1=1, dim2=2).abs().log().sum(1).to(jacobian.dtype)
