"""Expectation over transformation: the attack through the whole defense, randomness included."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from mfbench_attacks.answers import Answers
from mfbench_attacks.arguments import require_at_least
from mfbench_attacks.gradient_attack import GradientAttack
from mfbench_attacks.oracles import LogitOracle, Oracle
from mfbench_attacks.rows import Rows


@dataclass(kw_only=True, eq=False)
class EOT(GradientAttack):
    """Gradients of the defended answer, averaged over draws of its randomness (Athalye et al. 2018).

    `samples`: draws a step; one is enough of a defense that is not random. Iterates are scored on the same
    draws. Where no gradient comes through the purifier it is passed straight through, as by `bpda`. `stop`:
    an image whose answer is turned by that margin is left alone (not where answers are random); None: never.
    """

    who: ClassVar[str] = "eot"

    steps: int = 100
    samples: int = 8
    stop: float | None = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least(self.who, 1, samples=self.samples)

    def oracle(self, answers: Answers, rows: Rows) -> Oracle:
        return LogitOracle(ThroughAll(answers), self.loss, self.samples if answers.random else 1)

    def repeats(self, answers: Answers) -> str:
        """The attack that does the same on this defense: without randomness and gradient it is `bpda`."""
        return "bpda" if answers.detached and not answers.random else ""

    def enough(self, answers: Answers) -> float | None:
        return None if self.stop is None or answers.random else self.stop


class ThroughAll:
    """`answers.defended`, with a straight-through gradient where the defense gives none."""

    def __init__(self, answers: Answers) -> None:
        self.answers = answers
        self.broken = False

    def __call__(self, x: Tensor) -> Tensor:
        if not self.broken:
            logits = self.answers.defended(x)
            if logits.requires_grad or not x.requires_grad:
                return logits
            self.broken = True
        return straight_through(self.answers, x)


def straight_through(answers: Answers, x: Tensor) -> Tensor:
    """The classifier on the purified image, whose derivative in x is taken to be the identity."""
    purified = answers.purified(x)
    return answers.undefended(purified + (x - x.detach()))
