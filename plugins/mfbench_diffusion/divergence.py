"""eps and its divergence at the same points, from vector-Jacobian products."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mfbench import NoisePredictor
from mfbench_diffusion.grids import evaluate
from mfbench_diffusion.randomness import required


@dataclass(frozen=True)
class Divergence:
    """eps (n, ...), its divergence in x (n,) and the variance (n,) of that estimate; 0 where it is exact."""

    eps: Tensor
    trace: Tensor
    variance: Tensor


def exact_divergence(predictor: NoisePredictor, x: Tensor, t: float) -> Divergence:
    """One forward evaluation and d backward ones: the diagonal of the Jacobian, entry by entry."""
    x, eps = _with_graph(predictor, x, t)
    dim = x[0].numel()
    trace = torch.zeros(len(x), dtype=torch.float64, device=x.device)
    for i in range(dim):
        unit = torch.zeros_like(x)
        unit.view(len(x), dim)[:, i] = 1
        (row,) = torch.autograd.grad(eps, x, unit, retain_graph=i + 1 < dim)
        trace += row.flatten(1)[:, i]
    return Divergence(eps.detach(), trace, torch.zeros_like(trace))


def hutchinson_divergence(
    predictor: NoisePredictor, x: Tensor, t: float, probes: int, rng: torch.Generator | None
) -> Divergence:
    """The mean of v^T J v over `probes` random signs v (Hutchinson 1990); the variance is NaN for one."""
    rng = required(rng)
    x, eps = _with_graph(predictor, x, t)
    estimates = torch.empty((probes, len(x)), dtype=torch.float64, device=x.device)
    for k in range(probes):
        v = torch.randint(2, x.shape, generator=rng, device=x.device).to(x.dtype) * 2 - 1
        (product,) = torch.autograd.grad(eps, x, v, retain_graph=k + 1 < probes)
        estimates[k] = (product * v).flatten(1).sum(1)
    variance = estimates.var(0) if probes > 1 else torch.full_like(estimates[0], torch.nan)
    return Divergence(eps.detach(), estimates.mean(0), variance / probes)


def _with_graph(predictor: NoisePredictor, x: Tensor, t: float) -> tuple[Tensor, Tensor]:
    x = x.detach().requires_grad_()
    with torch.enable_grad():
        return x, evaluate(predictor, x, t)
