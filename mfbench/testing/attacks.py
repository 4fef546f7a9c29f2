"""What an attack promises: images that stay within the threat, and that fool a plain classifier."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, cast

import torch
from torch import Tensor

from mfbench.contracts import Defense, HasELBO, HasEvidence, Threat, Unrollable
from mfbench.protocols.checked import checked_samples
from mfbench.testing.findings import require
from mfbench.testing.methods import Check, MethodChecks

RADIUS = 0.1
PURIFIED_BY = 0.01
"""How far a step of purification moves a pixel."""
FOOLED = 0.5
"""Share of the images once answered rightly that an attack free to change every pixel must turn."""


class LinearClassifier(Defense, HasELBO, HasEvidence, Unrollable):
    """Ridge regression on the centred labels, as two logits: what any attack can turn.

    It tells attackers all that a defense can tell: its density is a Gaussian around the mean image, and it
    purifies by a few small steps towards that.
    """

    purification_steps = 2

    def __init__(self, x: Tensor, y: Tensor) -> None:
        flat = x.flatten(1)
        self.centre = flat.mean(0)
        gram = (flat - self.centre).T @ (flat - self.centre) / len(flat)
        ridge = 0.1 * torch.eye(len(gram), device=x.device, dtype=x.dtype)
        self.weights = torch.linalg.solve(gram + ridge, (flat - self.centre).T @ (2.0 * y - 1) / len(flat))

    def logits(self, x: Tensor) -> Tensor:
        score = (x.flatten(1) - self.centre) @ self.weights
        return torch.stack([-score, score], dim=1)

    def elbo(self, x: Tensor, *, rng: torch.Generator | None = None) -> Tensor:
        return -self._error(x).flatten(1).sum(dim=1) / 2

    def evidence(self, x: Tensor, *, rng: torch.Generator | None = None) -> Mapping[str, Tensor]:
        return {"error": self._error(x).sum(dim=1)}

    def _error(self, x: Tensor) -> Tensor:
        return (x - self.centre.view(x.shape[1:])).square()

    def purification_start(self, x: Tensor, *, rng: torch.Generator | None = None) -> tuple[Tensor, ...]:
        return (x,)

    def purification_step(
        self,
        state: tuple[Tensor, ...],
        *,
        squash: Callable[[Tensor], Tensor] | None = None,
        stride: float = 1.0,
        rng: torch.Generator | None = None,
    ) -> tuple[Tensor, ...]:
        gradient = self.centre.view(state[0].shape[1:]) - state[0]
        direction = gradient.sign() if squash is None else squash(gradient)
        return ((state[0] + stride * PURIFIED_BY * direction).clamp(0, 1),)

    def purify(self, x: Tensor, *, rng: torch.Generator | None = None) -> Tensor:
        state = self.purification_start(x, rng=rng)
        for _ in range(self.purification_steps):
            state = self.purification_step(state, rng=rng)
        return state[0]


class Undecided(LinearClassifier):
    """The same logits for every image: its gradient is zero."""

    def logits(self, x: Tensor) -> Tensor:
        return 0 * x.flatten(1)[:, :2]


class AttackChecks(MethodChecks):
    """Asked to turn a linear classifier's answers, within one of two masks."""

    kind = "attack"

    def respond(self, method: Any, x: Tensor, rng: torch.Generator) -> Tensor:
        labels = self._labels_of(x)
        changed: Tensor = method.perturb(self.defense, x, labels, threat=self.halves, rng=rng)
        return changed

    @cached_property
    def defense(self) -> LinearClassifier:
        train = self.data.train
        return LinearClassifier(train.x, cast("Tensor", train.y))

    @cached_property
    def halves(self) -> Threat:
        """Of each image either the left or the right half."""
        masks = torch.zeros(2, *self.data.shape[1:], dtype=torch.bool, device=self.data.test.x.device)
        masks[0, :, : masks.shape[2] // 2] = True
        return Threat(masks=torch.stack([masks[0], ~masks[0]]))

    def own(self) -> list[Check]:
        return [self.masks, self.radius, self.strength, self.zero_gradients]

    def masks(self) -> None:
        """In [0, 1], and bit-identical outside of one of the masks."""
        changed = self._attacked(self.halves)
        touched = (changed != self.inputs).any(dim=1)
        masks = cast("Tensor", self.halves.masks)
        beyond_all = torch.stack([(touched & ~mask).flatten(1).any(dim=1) for mask in masks]).all(dim=0)
        found = int(beyond_all.sum())
        require(found == 0, f"{found} of {len(beyond_all)} images are changed beyond any one of the masks")

    def radius(self) -> None:
        """No pixel changes by more than the radius."""
        changed = self._attacked(Threat(radius=RADIUS))
        largest = float((changed - self.inputs).abs().max())
        require(largest <= RADIUS + 1e-6, f"the radius is {RADIUS}, but a pixel changes by {largest:.3g}")

    def strength(self) -> str | None:
        """Free to change every pixel, it turns at least half of a linear classifier's right answers."""
        right = self.defense.logits(self.inputs).argmax(1) == self._labels_of(self.inputs)
        turned = self.defense.logits(self._attacked(Threat())).argmax(1) != self._labels_of(self.inputs)
        share = float((right & turned).sum() / right.sum())
        require(
            share >= FOOLED, f"turns {share:.0%} of a linear classifier's right answers with every pixel free"
        )
        return f"turns {share:.0%} with every pixel free"

    def zero_gradients(self) -> None:
        """A classifier whose gradient is zero does not make it fail."""
        train = self.data.train
        self._attacked(Threat(), Undecided(train.x, cast("Tensor", train.y)))

    def _attacked(self, threat: Threat, defense: Defense | None = None) -> Tensor:
        rng, labels = self.workshop.rng("check"), self._labels_of(self.inputs)
        changed = self.method.perturb(
            defense or self.defense, self.inputs.clone(), labels, threat=threat, rng=rng
        )
        checked: Tensor = checked_samples(changed, tuple(self.inputs.shape), self.method, "perturb")
        low, high = float(checked.min()), float(checked.max())
        require(low >= 0 and high <= 1, f"attacked images lie in [{low:.3g}, {high:.3g}], not in [0, 1]")
        return checked

    def _labels_of(self, x: Tensor) -> Tensor:
        """Labels of images in any order: read off the images, whose bright square is left or right."""
        width = x.shape[-1] // 2
        left, right = x[..., :width].flatten(1).mean(1), x[..., width:].flatten(1).mean(1)
        return (right > left).long()
