"""What a defense answers, held to its contract before an attack builds on it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from mfbench import ContractError, Defense
from mfbench_attacks.arguments import require_labels
from mfbench_attacks.losses import margin

_PROBED = 8
"""Images by which a defense is looked at before an attack."""
_SAME = 1e-6
_LEAST = 1e-30
"""Of a probability, before its logarithm is taken."""

Answer = Callable[[Tensor], Tensor]
"""(b, channels, height, width) -> logits (b, classes)."""


class Answers:
    """The logits of one defense, in its different ways of being asked.

    Where one of them gives probabilities in place of logits (rows lie in [0, 1] and sum to 1), it is attacked
    on their logarithms: margins and cross-entropies of probabilities mask gradients.
    """

    def __init__(self, defense: Defense, x: Tensor, y: Tensor, rng: torch.Generator) -> None:
        self.defense = defense
        self.rng = rng
        with torch.no_grad():
            found = checked_logits(defense.logits(x[:_PROBED]), len(x[:_PROBED]), defense, "logits")
        self._probabilities = {"logits": are_probabilities(found)}
        self._probe = x[:_PROBED]
        self.classes = found.shape[1]
        require_labels(y, self.classes)

    @cached_property
    def random(self) -> bool:
        """Whether the defense says that it is not `deterministic`, or answers otherwise when asked again,
        beyond rounding.
        """
        if self.says_random:
            return True
        with torch.no_grad():
            first, second = (self.defended(self._probe) for _ in range(2))
        return not torch.allclose(first, second, atol=_SAME)

    @property
    def says_random(self) -> bool:
        """Whether the defense says that it is not `deterministic`; costs no answer."""
        return getattr(self.defense, "deterministic", True) is False

    @cached_property
    def purify_only(self) -> bool:
        """Whether the answer that counts is the classifier's to the purified image, and nothing else."""
        with torch.no_grad():
            whole, parts = self.defended(self._probe), self.undefended(self.purified(self._probe))
        return torch.allclose(whole, parts, atol=_SAME)

    @cached_property
    def detached(self) -> bool:
        """Whether no gradient comes through the whole defense."""
        free = self._probe.clone().requires_grad_()
        with torch.enable_grad():
            return not self.defended(free).requires_grad

    def undefended(self, x: Tensor) -> Tensor:
        """The classifier alone."""
        return self._read(self.defense.logits(x), len(x), "logits")

    def defended(self, x: Tensor) -> Tensor:
        """The answer that counts; a random defense draws anew each time."""
        return self._read(self.defense.defended_logits(x, rng=self.rng), len(x), "defended_logits")

    def surrogate(self, x: Tensor) -> Tensor:
        """The stand-in of a defense that has one."""
        defense: Any = self.defense
        return self._read(defense.surrogate_logits(x, rng=self.rng), len(x), "surrogate_logits")

    @torch.no_grad()
    def purified(self, x: Tensor) -> Tensor:
        """The image that the classifier would see."""
        return self.defense.purify(x, rng=self.rng).detach()

    @torch.no_grad()
    def margins(self, x: Tensor, labels: Tensor, draws: int = 1) -> Tensor:
        """(b,): how wrong the defended answer is, the mean over `draws` draws of a random defense."""
        total = torch.stack([margin(self.defended(x), labels) for _ in range(draws)])
        return total.mean(dim=0)

    def _read(self, logits: Any, count: int, call: str) -> Tensor:
        checked = checked_logits(logits, count, self.defense, call)
        if call not in self._probabilities:  # looked at once: this is on every step's way
            self._probabilities[call] = are_probabilities(checked)
        return checked.clamp(min=_LEAST).log() if self._probabilities[call] else checked


def checked_logits(logits: Any, count: int, who: object, call: str) -> Tensor:
    """(count, classes) with at least two classes, without NaN; ContractError otherwise."""
    name = f"{type(who).__name__}.{call}"
    if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != count or logits.shape[1] < 2:
        found = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise ContractError(f"{name} must return logits ({count}, classes), not {found}")
    nan = logits.detach().isnan()
    if bool(nan.any()):
        raise ContractError(f"{name} returned NaN for {int(nan.any(dim=1).sum())} of {count} images")
    return logits


def are_probabilities(logits: Tensor) -> bool:
    """Whether every row lies in [0, 1] and sums to 1, to 1e-3."""
    inside = bool(((logits >= 0) & (logits <= 1)).all())
    return len(logits) > 0 and inside and bool(((logits.sum(dim=1) - 1).abs() < 1e-3).all())
