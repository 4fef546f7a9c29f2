"""Backward pass differentiable approximation: the purifier forward, the identity backward."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from mfbench import Unrollable
from mfbench_attacks.answers import Answers
from mfbench_attacks.arguments import require_at_least
from mfbench_attacks.eot import straight_through
from mfbench_attacks.gradient_attack import GradientAttack
from mfbench_attacks.oracles import LogitOracle, Look, Oracle
from mfbench_attacks.rows import Rows


@dataclass(kw_only=True, eq=False)
class BPDA(GradientAttack):
    """The gradient of the loss at the purified image is followed at the image itself (Athalye et al. 2018),
    the mean over `samples` draws.

    `trajectory`: at so many more images on the way from the image to the purified one, evenly apart, the
    gradient is taken, too, and averaged: of an `Unrollable` its own steps, else on the straight line. `stop`:
    an image whose answer is turned by that margin is left alone; None: never. Nor is one where answers are
    random, or are another function than the classifier of the purified image, which is what is looked at.
    """

    who: ClassVar[str] = "bpda"

    steps: int = 100
    samples: int = 1
    trajectory: int = 0
    stop: float | None = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least(self.who, 1, samples=self.samples)
        require_at_least(self.who, 0, trajectory=self.trajectory)

    def oracle(self, answers: Answers, rows: Rows) -> Oracle:
        ends = LogitOracle(lambda x: straight_through(answers, x), self.loss, self.samples)
        return Along(answers, ends, self.trajectory) if self.trajectory else ends

    def enough(self, answers: Answers) -> float | None:
        if self.stop is None or answers.random or not answers.purify_only:
            return None
        return self.stop


class Along:
    """Another oracle's scores, with gradients averaged over the way to the purified image."""

    def __init__(self, answers: Answers, ends: LogitOracle, points: int) -> None:
        self.answers = answers
        self.ends = ends
        self.points = points

    def look(self, x: Tensor, rows: Rows) -> Look:
        end = self.ends.look(x, rows)
        classifier = LogitOracle(self.answers.undefended, self.ends.loss)
        gradient = end.gradient
        for between in self._between(x):
            gradient = gradient + classifier.look(between, rows).gradient
        return end._replace(gradient=gradient / (self.points + 1))

    def score(self, x: Tensor, rows: Rows) -> Tensor:
        return self.ends.score(x, rows)

    @torch.no_grad()
    def _between(self, x: Tensor) -> list[Tensor]:
        defense, rng = self.answers.defense, self.answers.rng
        if not isinstance(defense, Unrollable):
            gap = self.answers.purified(x) - x
            return [x + gap * point / (self.points + 1) for point in range(self.points)]
        state, images = defense.purification_start(x, rng=rng), []
        for _ in range(defense.purification_steps):
            images.append(state[0])
            state = defense.purification_step(state, rng=rng)
        return [images[point * len(images) // self.points] for point in range(self.points)] if images else []
