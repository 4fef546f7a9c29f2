"""Attacks, and what an attacker may do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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


@dataclass(frozen=True)
class Rung:
    """What one attack of a ladder came to.

    attack: its name, with the parameters that tell it from others of the ladder.
    x: (n, ...) images within the threat, the clean one where the attack was not tried or found nothing.
    tried: (n,) bool: all, or in a cascade those that no attack before had turned.
    turned: (n,) bool: the defense's answer to x was wrong when the attack looked; score x with fresh draws.
    budget: what it was allowed and what it took, by name: "steps", "restarts", "queries", and measured, an
        image tried: "forward" and "backward" evaluations of the classifier (or of what stands for it).
    notes: what a reader of the board should know ("joint_elbo needs an ELBO: not tried").
    """

    attack: str
    x: Tensor
    tried: Tensor
    turned: Tensor
    budget: Mapping[str, float] = field(default_factory=dict)
    notes: Sequence[str] = ()


class Attack(Method):
    """Changes images within a threat so that a defense errs."""

    def perturb(
        self, defense: Defense, x: Tensor, y: Tensor, *, threat: Threat, rng: torch.Generator
    ) -> Tensor:
        """Adversarial images in [0, 1], bit-identical to x outside the chosen mask."""
        raise NotImplementedError
