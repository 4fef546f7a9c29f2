"""What an attack climbs: at an image, the score that is kept and the gradient that is followed."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from mfbench_attacks.losses import Loss, loss_of, margin
from mfbench_attacks.rows import Rows


class Look(NamedTuple):
    """score (b,): of the iterate, the highest is kept; loss (b,): what the gradient (b, ...) raises."""

    score: Tensor
    loss: Tensor
    gradient: Tensor


class Oracle(Protocol):
    """Asked about images x (b, ...), which are candidates for `rows`."""

    def look(self, x: Tensor, rows: Rows) -> Look:
        """Score, loss and gradient."""
        ...

    def score(self, x: Tensor, rows: Rows) -> Tensor:
        """The score alone, as `look` gives it."""
        ...


class LogitOracle:
    """Raises a loss of logits; the score is their margin. Both are means over `samples` calls of `answer`.

    Where no gradient reaches x (a defense that detaches it) the gradient is zero.
    """

    def __init__(self, answer: Callable[[Tensor], Tensor], loss: Loss, samples: int = 1) -> None:
        self.answer = answer
        self.loss = loss
        self.samples = samples

    def look(self, x: Tensor, rows: Rows) -> Look:
        total = self._once(x, rows)
        for _ in range(self.samples - 1):
            total = Look(*(a + b for a, b in zip(total, self._once(x, rows))))
        return total if self.samples == 1 else Look(*(part / self.samples for part in total))

    def _once(self, x: Tensor, rows: Rows) -> Look:
        x = x.detach().requires_grad_()
        with torch.enable_grad():
            logits = self.answer(x)
            loss = loss_of(self.loss, logits, rows.labels)
        risen = loss.detach()
        score = risen if self.loss == "margin" else margin(logits.detach(), rows.labels)
        return Look(score, risen, gradient_of(loss, x))

    @torch.no_grad()
    def score(self, x: Tensor, rows: Rows) -> Tensor:
        found = [margin(self.answer(x), rows.labels) for _ in range(self.samples)]
        return torch.stack(found).mean(dim=0)


def gradient_of(loss: Tensor, x: Tensor) -> Tensor:
    """d sum(loss) / dx, zero where the loss does not depend on x."""
    if not loss.requires_grad:
        return torch.zeros_like(x)
    (found,) = torch.autograd.grad(loss.sum(), x, allow_unused=True)
    return torch.zeros_like(x) if found is None else found


def usable(gradient: Tensor, rows: Rows, rng: torch.Generator) -> Tensor:
    """The gradient within the mask; random signs in rows where it is zero or not finite there.

    Steps along a gradient that is zero (a saturated loss, a defense that detaches) would stand still, and NaN
    would spread.
    """
    inside = gradient if rows.everywhere else torch.where(rows.free, gradient, 0)  # 2 % of a step
    strength = inside.abs().amax(dim=(1, 2, 3))
    sound = (strength > 0) & (strength < torch.inf)  # NaN is neither
    if bool(sound.all()):
        return inside
    coins = torch.randint(2, inside.shape, generator=rng, device=rng.device).to(inside)
    return torch.where(sound[:, None, None, None], inside, (2 * coins - 1) * rows.free)
