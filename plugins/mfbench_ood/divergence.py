"""The divergence of eps in x, from vector-Jacobian products."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Field = Callable[[Tensor], Tensor]
"""(n, ...) -> (n, ...), row by row."""


def exact_divergence(field: Field, x: Tensor) -> tuple[Tensor, Tensor]:
    """field(x), and its divergence (n,) float64: one product a coordinate."""
    x, value = _with_graph(field, x)
    dim = x[0].numel()
    trace = torch.zeros(len(x), dtype=torch.float64, device=x.device)
    for i in range(dim):
        unit = torch.zeros_like(x)
        unit.view(len(x), dim)[:, i] = 1
        (row,) = torch.autograd.grad(value, x, unit, retain_graph=i + 1 < dim)
        trace += row.flatten(1)[:, i]
    return value.detach(), trace


def hutchinson_divergence(
    field: Field, x: Tensor, probes: int, rng: torch.Generator
) -> tuple[Tensor, Tensor]:
    """field(x), and the mean (n,) float64 of v^T J v over `probes` random signs v (Hutchinson 1990)."""
    x, value = _with_graph(field, x)
    trace = torch.zeros(len(x), dtype=torch.float64, device=x.device)
    for k in range(probes):
        v = torch.randint(2, x.shape, generator=rng, device=x.device).to(x.dtype) * 2 - 1
        (product,) = torch.autograd.grad(value, x, v, retain_graph=k + 1 < probes)
        trace += (product * v).flatten(1).sum(1) / probes
    return value.detach(), trace


def _with_graph(field: Field, x: Tensor) -> tuple[Tensor, Tensor]:
    with torch.enable_grad():
        x = x.detach().clone().requires_grad_()
        return x, field(x)
