"""Random streams by name, so that what one part of a measurement draws moves no other part."""

from __future__ import annotations

import torch

from mfbench.identity import derive_seed


class Streams:
    """Independent generators by name, all from one draw of `rng`.

    All methods of a board are given an `rng` of the same seed, so they meet the same noise in each part of
    the measurement, however much they draw in the others.
    """

    def __init__(self, rng: torch.Generator) -> None:
        self.device = rng.device
        self.base = int(torch.randint(2**62, (), generator=rng, device=rng.device))

    def __call__(self, *names: str) -> torch.Generator:
        """A fresh generator for this name: the same at every call."""
        return torch.Generator(self.device).manual_seed(derive_seed(self.base, *names))
