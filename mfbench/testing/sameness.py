"""Whether two ways of asking get the same answers: to 1e-4, or in distribution where answers are random."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from mfbench.testing.findings import require

TOLERANCE = 1e-4
ROUNDS = 16
_TOO_FAR = 8.0
"""|t| of Welch's test with 16 rounds that equal distributions reach less than once in ten million."""

Ask = Callable[[int], Tensor]
"""Answers (n, ...) of the same n examples in the same order, by the number of the round (its seed)."""


def require_same(first: Ask, second: Ask, random: bool, what: str) -> None:
    """CheckFailed where the answers differ, example by example."""
    if random:
        gap = _largest_t(first, second)
        require(
            gap < _TOO_FAR,
            f"{what} changes the distribution of answers (|t| = {gap:.3g} over {ROUNDS} rounds)",
        )
    else:
        gap = largest_gap(first(0), second(0))
        require(
            gap <= TOLERANCE, f"{what} changes answers by up to {gap:.3g} (allowed: {TOLERANCE:g}, relative)"
        )


def largest_gap(a: Tensor, b: Tensor) -> float:
    """max |a - b| / (1 + |b|); infinities and NaN must agree in place, or the gap is infinite."""
    if a.shape != b.shape:
        return float("inf")
    a, b = a.detach().double().cpu(), b.detach().double().cpu()
    equal = (a == b) | (a.isnan() & b.isnan())
    gap = torch.where(equal, 0.0, (a - b).abs() / (1 + b.abs())).nan_to_num(nan=torch.inf)
    return float(gap.max()) if gap.numel() else 0.0


def _largest_t(first: Ask, second: Ask) -> float:
    """Welch's |t| between the rounds of both, the largest over examples; answers as one projection each."""
    a = torch.stack([_projected(first(round_)) for round_ in range(ROUNDS)])
    b = torch.stack([_projected(second(ROUNDS + round_)) for round_ in range(ROUNDS)])
    gap = (a.mean(0) - b.mean(0)).abs()
    error = ((a.var(0) + b.var(0)) / ROUNDS).sqrt()
    negligible = gap <= TOLERANCE * (1 + b.mean(0).abs())  # constant answers, up to rounding
    return float(torch.where(negligible, 0.0, gap / error).max())


def _projected(answers: Tensor) -> Tensor:
    """One number an example: the answer along a fixed direction; -inf becomes a large number."""
    flat = answers.detach().double().cpu().nan_to_num().clamp(-1e6, 1e6).reshape(len(answers), -1)
    direction = torch.randn(flat.shape[1], generator=torch.Generator().manual_seed(0), dtype=flat.dtype)
    projected: Tensor = flat @ direction / flat.shape[1] ** 0.5
    return projected
