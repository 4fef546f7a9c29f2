"""Seeds for libraries that draw from a generator of their own."""

from __future__ import annotations

import torch


def seed_from(rng: torch.Generator) -> int:
    """A seed in [0, 2^31) drawn from `rng`, for scikit-learn and for modules that initialise themselves."""
    return int(torch.randint(2**31 - 1, (), generator=rng, device=rng.device))
