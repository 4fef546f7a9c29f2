"""Draws come from the generator a method is given, never from the global one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from mfbench import UserError


def required(rng: torch.Generator | None) -> torch.Generator:
    """`rng`, or a UserError where a method that draws was given none."""
    if rng is None:
        raise UserError("rng = None: this method draws random numbers; give it a torch.Generator")
    return rng


def seed_from(rng: torch.Generator) -> int:
    """A seed in [0, 2^31) drawn from `rng`, for modules that initialise themselves."""
    return int(torch.randint(2**31 - 1, (), generator=rng, device=rng.device))


@contextmanager
def weights_from(seed: int) -> Iterator[None]:
    """Modules made inside, on the CPU, draw their weights from `seed`; the global generator is left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
