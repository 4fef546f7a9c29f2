"""What a defense promises: differentiable logits, purified images that are images, a defended answer."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mfbench.contracts import HasFeatures
from mfbench.protocols.checked import checked_samples
from mfbench.testing.findings import NotApplicable, require
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
        return [self.logits, self.features, self.gradients, self.purification, self.accuracy]

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

    def features(self) -> None:
        """Where it has features: (n, d), finite, the same at every call, for one image and for many."""
        if not isinstance(self.method, HasFeatures):
            raise NotApplicable("it has no features")
        found = self.method.features(self.inputs.clone())
        require(
            isinstance(found, Tensor) and found.ndim == 2, "features must return a tensor of shape (n, d)"
        )
        for count in (1, len(self.inputs)):
            answer = self.method.features(self.inputs[:count].clone())
            checked_samples(answer, (count, found.shape[1]), self.method, "features")
        require(torch.equal(answer, found), "features differ between two calls with the same images")

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
