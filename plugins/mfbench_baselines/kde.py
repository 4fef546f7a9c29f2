"""Kernel density estimate with a Gaussian kernel (Parzen 1962).

log p(x) = logsumexp_j(-|x - x_j|^2 / (2 h^2)) - log n - d log h - d/2 log(2 pi) over the training points x_j.

Without a given bandwidth, h maximises the leave-one-out log-likelihood of the training points (Habbema,
Hermans and van den Broek 1974) on a logarithmic grid. The sums are exact: no tree, no cut-off.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from mfbench import Dataset, DataSpec, Likelihood, Progress, UserError
from mfbench_baselines.arguments import require_positive

PAIRS_AT_ONCE = 2**18
"""Distances held at a time: 1 MiB in float32, which stays in a CPU's cache."""

NEGLIGIBLE = -80.0
"""Exponents, relative to the nearest centre's, below which a kernel adds nothing in either float type. They
are raised to it, because arithmetic on subnormal numbers is ten times slower."""

MOST_LEFT_OUT = 5_000
"""Training points left out in turn, a random subset where there are more: their mean is what h maximises."""

LADDER = [2.0 ** (1 - k / 4) for k in range(32)]
"""Bandwidths tried, in units of the normal-reference rule: from twice it down to about a hundredth."""


class KernelDensity(Likelihood):
    """Gaussian kernel density; `bandwidth` in data units (None: leave-one-out maximum likelihood)."""

    def __init__(self, bandwidth: float | None = None) -> None:
        if bandwidth is not None:
            require_positive("kde", bandwidth=bandwidth)
        self.bandwidth = bandwidth

    def build(self, spec: DataSpec) -> None:
        self.centres = torch.empty(0, math.prod(spec.shape), device=spec.device, dtype=spec.dtype)
        self.h = self.bandwidth or math.nan

    def fit(self, data: Dataset, *, rng: torch.Generator, progress: Progress) -> None:
        self.centres = data.train.x.flatten(1)
        if self.bandwidth is None:
            self.h = choose_bandwidth(self.centres, rng)

    def log_prob(self, x: Tensor, *, rng: torch.Generator | None = None) -> Tensor:
        n, dim = self.centres.shape
        constant = math.log(n) + dim * math.log(self.h) + dim / 2 * math.log(2 * math.pi)
        parts = x.flatten(1).split(max(1, PAIRS_AT_ONCE // n))
        sums = [log_kernel_sum(squared_distances(part, self.centres), self.h) for part in parts]
        return torch.cat(sums) - constant

    def state_dict(self) -> Mapping[str, Tensor | float]:
        return {"centres": self.centres, "h": self.h}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.centres, self.h = state["centres"], float(state["h"])


def log_kernel_sum(squared: Tensor, h: float) -> Tensor:
    """log sum_j exp(-d_ij^2 / (2 h^2)), shape (n,), of squared distances (n, m)."""
    nearest = squared.amin(dim=1, keepdim=True)
    scaled = (nearest - squared).mul_(1 / (2 * h * h)).clamp_min_(NEGLIGIBLE)
    return scaled.exp_().sum(dim=1).log() - nearest.squeeze(1) / (2 * h * h)


def squared_distances(x: Tensor, centres: Tensor) -> Tensor:
    """|x_i - x_j|^2, shape (n, m); differences, not dot products, where they are affordable and exact."""
    mode = "donot_use_mm_for_euclid_dist" if x.shape[1] <= 32 else "use_mm_for_euclid_dist"
    return torch.cdist(x, centres, compute_mode=mode).square_()


def choose_bandwidth(x: Tensor, rng: torch.Generator) -> float:
    """The bandwidth of highest leave-one-out log-likelihood on the grid around the normal-reference rule."""
    n, dim = x.shape
    if n < 2:
        raise UserError("kde: choosing a bandwidth needs at least two training points; give `bandwidth`")
    rule = (4 / (dim + 2) / n) ** (1 / (dim + 4)) * float(x.var(dim=0).mean().sqrt())
    grid = [rule * factor for factor in LADDER]
    left_out = torch.randperm(n, generator=rng, device=rng.device)[:MOST_LEFT_OUT]
    return max(zip(leave_one_out(x, left_out, grid), grid))[1]


def leave_one_out(x: Tensor, left_out: Tensor, bandwidths: list[float]) -> list[float]:
    """Mean log-density of the points `left_out` (indices) given all others, for each bandwidth."""
    n, dim = x.shape
    totals = torch.zeros(len(bandwidths), dtype=torch.float64)
    for distances in _distances_to_others(x, left_out):
        for k, h in enumerate(bandwidths):
            totals[k] += float(log_kernel_sum(distances, h).sum(dtype=torch.float64))
    constant = math.log(n - 1) + dim / 2 * math.log(2 * math.pi)
    return [
        float(total) / len(left_out) - constant - dim * math.log(h) for total, h in zip(totals, bandwidths)
    ]


def _distances_to_others(x: Tensor, left_out: Tensor) -> Iterator[Tensor]:
    for rows in left_out.split(max(1, PAIRS_AT_ONCE // len(x))):
        distances = squared_distances(x[rows], x)
        distances[torch.arange(len(rows), device=x.device), rows] = math.inf
        yield distances
