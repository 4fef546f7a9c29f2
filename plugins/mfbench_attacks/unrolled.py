"""Through the purification itself: its steps one after the other, or the defense's own stand-in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from mfbench import HasSurrogate, Unrollable, Unsupported
from mfbench_attacks.answers import Answer, Answers
from mfbench_attacks.arguments import require_above, require_at_least
from mfbench_attacks.ascent import Best
from mfbench_attacks.gradient_attack import GradientAttack
from mfbench_attacks.oracles import LogitOracle, Oracle
from mfbench_attacks.recomputed import recomputed
from mfbench_attacks.rows import Rows

_LEAST = 1e-30


@dataclass(kw_only=True, eq=False)
class Unrolled(GradientAttack):
    """Gradients through every step of an `Unrollable` defense's purification, or through the stand-in of one
    that `HasSurrogate`; Unsupported for others (`bpda` and `eot` take any).

    `unroll`: steps of purification that are followed, each longer by what is left out; 0: all of them.
    `softness`: a gradient's sign becomes tanh(g / (softness mean |g|)), which has a derivative. Each step is
    computed again on the way back, so that memory is that of one step whatever their number. `samples`:
    draws of the defense's randomness, averaged. Restarts are compared by the defended answer itself.
    """

    who: ClassVar[str] = "unrolled"

    steps: int = 100
    unroll: int = 10
    softness: float = 0.1
    samples: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least(self.who, 0, unroll=self.unroll)
        require_at_least(self.who, 1, samples=self.samples)
        require_above(self.who, 0, softness=self.softness)

    def oracle(self, answers: Answers, rows: Rows) -> Oracle:
        return LogitOracle(self._answer(answers), self.loss, self.samples)

    def _answer(self, answers: Answers) -> Answer:
        if isinstance(answers.defense, HasSurrogate):
            return answers.surrogate
        if isinstance(answers.defense, Unrollable):
            return lambda x: answers.undefended(self._purified(answers.defense, x, answers.rng))
        name = type(answers.defense).__name__
        raise Unsupported(
            f"unrolled needs an Unrollable defense, or one that HasSurrogate; {name} is neither"
        )

    def _purified(self, defense: Any, x: Tensor, rng: torch.Generator) -> Tensor:
        total = defense.purification_steps
        count = min(self.unroll, total) or total
        step = _relaxed(defense, total / max(1, count), self.softness, rng)
        state = defense.purification_start(x, rng=rng)
        for _ in range(count):
            state = recomputed(step, rng, state)
        image: Tensor = state[0]
        return image

    def verdict(self, answers: Answers, found: Best, rows: Rows) -> Tensor:
        """The defended answer's margin: the stand-in's is not what counts."""
        return answers.margins(found.x, rows.labels)


def _relaxed(
    defense: Any, stride: float, softness: float, rng: torch.Generator
) -> Callable[[tuple[Tensor, ...]], tuple[Tensor, ...]]:
    """One step of purification whose direction is smooth in its gradient."""

    def squash(gradient: Tensor) -> Tensor:
        scale = gradient.detach().abs().flatten(1).mean(dim=1).clamp(min=_LEAST)
        return torch.tanh(gradient / (softness * scale.view(-1, *[1] * (gradient.ndim - 1))))

    def step(state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        found: tuple[Tensor, ...] = defense.purification_step(state, squash=squash, stride=stride, rng=rng)
        return found

    return step
