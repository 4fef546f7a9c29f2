"""Attacks, and what an attacker may do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mfbench.contracts.method import Method

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from mfbench.contracts.defense import Defense


@dataclass(frozen=True)
class Threat:
    """What the attacker may do; equal for every defense and printed on the board.

    masks: boolean (m, h, w), of which one is chosen per image (None: the whole image).
    radius: largest change of a pixel (None: any value in [0, 1]).
    budget: gradient steps, queries, restarts, ... by name.
    """

    masks: Tensor | None = None
    radius: float | None = None
    budget: dict[str, int] | None = None


class Attack(Method):
    """Changes images within a threat so that a defense errs."""

    def perturb(
        self, defense: Defense, x: Tensor, y: Tensor, *, threat: Threat, rng: torch.Generator
    ) -> Tensor:
        """Adversarial images in [0, 1], bit-identical to x outside the chosen mask."""
        raise NotImplementedError
