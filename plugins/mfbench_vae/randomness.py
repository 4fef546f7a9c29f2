"""Draws come from the generator a method is given, never from the global one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


@contextmanager
def weights_from(rng: torch.Generator | None) -> Iterator[None]:
    """Modules made inside draw their first weights on the CPU, from `rng` (None: always the same)."""
    seed = 0 if rng is None else int(torch.randint(2**62, (), generator=rng, device=rng.device))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def normal_like(like: Tensor, rng: torch.Generator) -> Tensor:
    """Standard normal numbers of the shape, dtype and device of `like`."""
    return torch.randn(like.shape, generator=rng, dtype=like.dtype, device=rng.device).to(like.device)


def permutation(count: int, rng: torch.Generator) -> Tensor:
    """The numbers 0 to count - 1 in random order, on the generator's device."""
    return torch.randperm(count, generator=rng, device=rng.device)
