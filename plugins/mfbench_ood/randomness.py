"""Draws come from the generator a method is given, never from the global one."""

from __future__ import annotations

import torch
from torch import Tensor

from mfbench import UserError


def required(rng: torch.Generator | None) -> torch.Generator:
    """`rng`, or a UserError where a method that draws was given none."""
    if rng is None:
        raise UserError("rng = None: this method draws random numbers; give it a torch.Generator")
    return rng


def noise_like(x: Tensor, rng: torch.Generator) -> Tensor:
    """z ~ N(0, I) of x's shape, dtype and device."""
    return torch.randn(x.shape, generator=rng, dtype=x.dtype, device=x.device)


def seed_from(rng: torch.Generator) -> int:
    """A seed in [0, 2^31) drawn from `rng`, for scikit-learn and for modules that initialise themselves."""
    return int(torch.randint(2**31 - 1, (), generator=rng, device=rng.device))
