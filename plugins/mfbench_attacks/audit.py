"""What about a defense makes attacks on it look weaker than they are."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from mfbench import Defense
from mfbench_attacks.answers import are_probabilities, checked_logits
from mfbench_attacks.losses import margin
from mfbench_attacks.oracles import gradient_of

_TOLERANCE = 1e-6
_MASKED = 0.1
"""Share of images without a gradient from which on it is worth a word."""


def audit(defense: Defense, x: Tensor, y: Tensor, rng: torch.Generator) -> list[str]:
    """Short remarks, none for a defense that hides nothing; looked for on the images given, (n, ...).

    ContractError where its logits are none, or NaN.
    """
    return [
        *_of_gradients(defense, x, y),
        *_of_the_defended_answer(defense, x, rng),
        *_of_purified_images(defense, x, rng),
    ]


def _of_gradients(defense: Defense, x: Tensor, y: Tensor) -> Iterator[str]:
    free = x.detach().clone().requires_grad_()
    with torch.enable_grad():
        logits = checked_logits(defense.logits(free), len(x), defense, "logits")
        gradient = gradient_of(margin(logits, y), free).flatten(1)
    if are_probabilities(logits.detach()):
        yield "logits are probabilities: attacked on their logarithms"
    if not logits.requires_grad:
        yield "logits detach gradients: attacks walk at random"
        return
    broken = ~gradient.isfinite().all(dim=1)
    if bool(broken.any()):
        yield f"gradients are not finite for {int(broken.sum())} of {len(x)} images"
    dead = (gradient == 0).all(dim=1)
    if float(dead.double().mean()) > _MASKED:
        yield f"gradients are zero for {int(dead.sum())} of {len(x)} images"


def _of_the_defended_answer(defense: Defense, x: Tensor, rng: torch.Generator) -> Iterator[str]:
    free = x.detach().clone().requires_grad_()
    with torch.enable_grad():
        first = checked_logits(defense.defended_logits(free, rng=rng), len(x), defense, "defended_logits")
    if not first.requires_grad:
        yield "the defended answer detaches gradients: passed straight through (BPDA)"
    with torch.no_grad():
        second = checked_logits(defense.defended_logits(x, rng=rng), len(x), defense, "defended_logits")
    if not torch.allclose(first.detach(), second, atol=_TOLERANCE):
        yield "the defended answer is random"


@torch.no_grad()
def _of_purified_images(defense: Defense, x: Tensor, rng: torch.Generator) -> Iterator[str]:
    purified = defense.purify(x, rng=rng)
    missing = int((~purified.isfinite()).flatten(1).any(dim=1).sum())
    if missing:
        yield f"purified images are not finite for {missing} of {len(x)} images"
        return
    low, high = float(purified.min()), float(purified.max())
    if low < -_TOLERANCE or high > 1 + _TOLERANCE:
        yield f"purified images lie in [{low:.3g}, {high:.3g}], not in [0, 1]"
