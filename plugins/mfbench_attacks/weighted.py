"""Attacks that must keep a second thing up while they turn the answer, at several weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mfbench_attacks.answers import Answers
from mfbench_attacks.arguments import require_at_least
from mfbench_attacks.ascent import Best
from mfbench_attacks.gradient_attack import GradientAttack
from mfbench_attacks.losses import Loss, loss_of
from mfbench_attacks.oracles import Look, Oracle, gradient_of
from mfbench_attacks.rows import Rows

Term = Callable[[Tensor], Tensor]
"""(b, ...) -> (b,): what is raised beside the loss."""


@dataclass(kw_only=True, eq=False)
class WeightedAttack(GradientAttack):
    """loss + weight x term is raised on the undefended classifier, for all `weights` beside each other; the
    one whose result the defended answer likes least counts.
    """

    steps: int = 100
    loss: Loss = "cross_entropy"
    weights: Sequence[float] = (0.01, 0.1, 1.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least(self.who, 1, number_of_weights=len(self.weights))
        for weight in self.weights:
            require_at_least(self.who, 0, weight=weight)

    @property
    def variants(self) -> int:
        return len(self.weights)

    def oracle(self, answers: Answers, rows: Rows) -> Oracle:
        weights = torch.tensor(list(self.weights), device=rows.clean.device, dtype=rows.clean.dtype)
        term = self.term(answers, rows)
        return JointOracle(answers, self.loss, term, weights.repeat(len(rows) // len(weights)))

    def term(self, answers: Answers, rows: Rows) -> Term:
        """The second thing, for these rows."""
        raise NotImplementedError

    def verdict(self, answers: Answers, found: Best, rows: Rows) -> Tensor:
        """The defended answer's margin: scores at different weights do not compare."""
        return answers.margins(found.x, rows.labels)


class JointOracle:
    """loss of the undefended logits + weights (b,) x term: score and loss in one."""

    def __init__(self, answers: Answers, loss: Loss, term: Term, weights: Tensor) -> None:
        self.answers = answers
        self.loss = loss
        self.term = term
        self.weights = weights

    def look(self, x: Tensor, rows: Rows) -> Look:
        x = x.detach().requires_grad_()
        with torch.enable_grad():
            total = self._total(x, rows)
        return Look(total.detach(), total.detach(), gradient_of(total, x))

    @torch.no_grad()
    def score(self, x: Tensor, rows: Rows) -> Tensor:
        return self._total(x, rows)

    def _total(self, x: Tensor, rows: Rows) -> Tensor:
        return loss_of(self.loss, self.answers.undefended(x), rows.labels) + self.weights * self.term(x)
