"""What a defense promises: differentiable logits, purified images that are images, a defended answer."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mfbench.protocols.checked import checked_samples
from mfbench.testing.findings import require
from mfbench.testing.methods import Check, MethodChecks

LEARNED = 0.8
"""Accuracy on clean test images, of two classes that a glance tells apart, that shows that it was fitted."""


class DefenseChecks(MethodChecks):
    """Asked for its defended logits of test images."""

    kind = "defense"

    def respond(self, method: Any, x: Tensor, rng: torch.Generator) -> Tensor:
        logits: Tensor = method.defended_logits(x, rng=rng)
        return logits

    def own(self) -> list[Check]:
        return [self.logits, self.gradients, self.purification, self.accuracy]

    def logits(self) -> None:
        """(n, classes), finite, undefended and defended."""
        classes = len(self.data.train.names["classes"])
        for count in (1, len(self.inputs)):
            x = self.inputs[:count]
            checked_samples(self.method.logits(x.clone()), (count, classes), self.method, "logits")
            checked_samples(
                self.respond(self.method, x.clone(), self.workshop.rng("check")),
                (count, classes),
                self.method,
                "defended_logits",
            )

    def gradients(self) -> None:
        """`logits` is differentiable in x, with finite gradients."""
        x = self.inputs.clone().requires_grad_()
        logits = self.method.logits(x)
        require(logits.requires_grad, "logits is not differentiable in x (detached, or under no_grad?)")
        (gradient,) = torch.autograd.grad(logits.square().sum(), x, allow_unused=True)
        require(gradient is not None, "logits does not depend on x")
        require(bool(gradient.isfinite().all()), "the gradient of logits is not finite")

    def purification(self) -> None:
        """`purify` keeps the shape and stays in [0, 1]."""
        clean = self.method.purify(self.inputs.clone(), rng=self.workshop.rng("check"))
        checked_samples(clean, tuple(self.inputs.shape), self.method, "purify")
        low, high = float(clean.min()), float(clean.max())
        require(
            low >= -1e-6 and high <= 1 + 1e-6,
            f"purified images lie in [{low:.3g}, {high:.3g}], not in [0, 1]",
        )

    def accuracy(self) -> str | None:
        """The undefended classifier has learned an easy task."""
        labels = self.data.test.y
        found = float((self.method.logits(self.data.test.x).argmax(1) == labels).double().mean())
        require(found >= LEARNED, f"accuracy {found:.2f} on clean, easy images (needed: {LEARNED})")
        return f"clean accuracy {found:.2f}"
