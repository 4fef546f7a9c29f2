"""Auto-PGD (Croce and Hein 2020), confined to the mask: step sizes that follow the progress made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from mfbench import Threat
from mfbench_attacks.answers import Answers
from mfbench_attacks.arguments import require_at_least
from mfbench_attacks.ascent import Best
from mfbench_attacks.eot import ThroughAll
from mfbench_attacks.gradient_attack import GradientAttack
from mfbench_attacks.losses import loss_of, margin, targeted_dlr
from mfbench_attacks.oracles import Look, Oracle, gradient_of, usable
from mfbench_attacks.rows import Rows, best_of

_MOMENTUM = 0.75
"""alpha of Algorithm 1."""
_PROGRESS = 0.75
"""rho: the share of steps that must raise the loss."""


@dataclass(kw_only=True, eq=False)
class APGD(GradientAttack):
    """Auto-PGD through the whole defense, as `eot` with one draw.

    `objective`: "cross_entropy"; "targeted_dlr", the difference of logits ratio towards each of the `targets`
    most likely wrong classes, which costs as many times the steps; or "both", the first and then, where the
    answer is still right, the second. The step starts at twice the radius (at most 1) and is halved where
    progress ends; `step_size` and `loss` are not used.
    """

    who: ClassVar[str] = "apgd"

    steps: int = 100
    objective: Literal["cross_entropy", "targeted_dlr", "both"] = "both"
    targets: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least(self.who, 1, targets=self.targets)

    def oracle(self, answers: Answers, rows: Rows) -> Oracle:
        return _CrossEntropy(ThroughAll(answers))

    def candidates(self, x: Tensor, threat: Threat) -> int:
        """The most rows that an image becomes."""
        targets = 1 if self.objective == "cross_entropy" else self.targets
        return super().candidates(x, threat) * targets

    def climbed(self, answers: Answers, rows: Rows, start: Tensor, steps: int) -> Best:
        answer = ThroughAll(answers)
        if self.objective == "cross_entropy":
            return auto_ascend(_CrossEntropy(answer), rows, start, steps, answers.rng)
        if self.objective == "targeted_dlr":
            return self._targeted(answer, answers, rows, start, steps)
        found = auto_ascend(_CrossEntropy(answer), rows, start, steps, answers.rng)
        left = (found.score <= 0).nonzero()[:, 0]
        if not len(left):
            return found
        better = self._targeted(answer, answers, rows.take(left), start[left], steps)
        return found.update(
            found.x.index_copy(0, left, better.x), found.score.index_copy(0, left, better.score)
        )

    def _targeted(self, answer: ThroughAll, answers: Answers, rows: Rows, start: Tensor, steps: int) -> Best:
        """The best over the classes that come nearest at the clean image."""
        count = min(self.targets, answers.classes - 1)
        with torch.no_grad():
            clean = answer(rows.clean).scatter(1, rows.labels[:, None], -torch.inf)
        targets = clean.topk(count, dim=1).indices.flatten()
        found = auto_ascend(
            _TargetedDLR(answer, targets),
            rows.repeat(count),
            start.repeat_interleave(count, 0),
            steps,
            answers.rng,
        )
        chosen = best_of(found.score, count)
        return Best(found.x[chosen], found.score[chosen])


class _CrossEntropy:
    """Cross-entropy of the defended answer; scored by the margin."""

    def __init__(self, answer: ThroughAll) -> None:
        self.answer = answer

    def look(self, x: Tensor, rows: Rows) -> Look:
        x = x.detach().requires_grad_()
        with torch.enable_grad():
            logits = self.answer(x)
            loss = self.loss(logits, rows)
        return Look(margin(logits.detach(), rows.labels), loss.detach(), gradient_of(loss, x))

    def loss(self, logits: Tensor, rows: Rows) -> Tensor:
        return loss_of("cross_entropy", logits, rows.labels)

    @torch.no_grad()
    def score(self, x: Tensor, rows: Rows) -> Tensor:
        return margin(self.answer(x), rows.labels)


class _TargetedDLR(_CrossEntropy):
    """The same for the difference of logits ratio towards `targets` (b,)."""

    def __init__(self, answer: ThroughAll, targets: Tensor) -> None:
        super().__init__(answer)
        self.targets = targets

    def loss(self, logits: Tensor, rows: Rows) -> Tensor:
        return targeted_dlr(logits, rows.labels, self.targets)


@dataclass
class _Pace:
    """What Algorithm 1 remembers of each row (b,) between checkpoints."""

    size: Tensor
    raised: Tensor
    best: Tensor
    best_at_check: Tensor
    size_at_check: Tensor

    def check(self, steps: int) -> Tensor:
        """Which rows halve their step and go back to their best iterate (conditions 1 and 2)."""
        slow = self.raised < _PROGRESS * steps
        stuck = (self.size_at_check == self.size) & (self.best_at_check == self.best)
        halved = slow | stuck
        self.size_at_check, self.best_at_check = self.size, self.best
        self.size = torch.where(halved, self.size / 2, self.size)
        self.raised = torch.zeros_like(self.raised)
        return halved


def auto_ascend(oracle: Oracle, rows: Rows, start: Tensor, steps: int, rng: torch.Generator) -> Best:
    """Algorithm 1: x <- P(x + a (z - x) + (1 - a) (x - x_before)), z = P(x + size sign(gradient)).

    Two things are kept apart: what has the highest loss, to which a row goes back, and what has the
    highest score, which is given back.
    """
    x = rows.project(start)
    look = oracle.look(x, rows)
    kept = Best(x, look.score)
    top, top_gradient, before = x, look.gradient, x
    pace = _start_pace(rows, look.loss)
    checks, last = _checkpoints(steps), 0
    for step in range(1, steps + 1):
        size = pace.size[:, None, None, None]
        ahead = rows.project(x + size * usable(look.gradient, rows, rng).sign())
        share = _MOMENTUM if step > 1 else 1.0
        x, before = rows.project(x + share * (ahead - x) + (1 - share) * (x - before)), x
        previous, look = look.loss, oracle.look(x, rows)
        kept = kept.update(x, look.score)
        pace.raised = pace.raised + (look.loss > previous)
        better = look.loss > pace.best
        pace.best = torch.where(better, look.loss, pace.best)
        wide = better[:, None, None, None]
        top, top_gradient = torch.where(wide, x, top), torch.where(wide, look.gradient, top_gradient)
        if step in checks:
            back = pace.check(step - last)
            wide, last = back[:, None, None, None], step
            x, before = torch.where(wide, top, x), torch.where(wide, top, before)
            look = Look(
                look.score,
                torch.where(back, pace.best, look.loss),
                torch.where(wide, top_gradient, look.gradient),
            )
    return kept


def _start_pace(rows: Rows, loss: Tensor) -> _Pace:
    """Steps of twice the radius: of the largest change that the row allows, and at most 1."""
    reach = torch.maximum(rows.high - rows.clean, rows.clean - rows.low).flatten(1).amax(dim=1)
    size = (2 * reach).clamp(max=1)
    return _Pace(size, torch.zeros_like(loss), loss, torch.full_like(loss, -torch.inf), size)


def _checkpoints(steps: int) -> set[int]:
    """ceil(p_j steps), p_0 = 0, p_1 = 0.22, p_{j+1} = p_j + max(p_j - p_{j-1} - 0.03, 0.06)."""
    shares, found = [0.0, 0.22], set()
    while shares[-1] <= 1:
        found.add(-(-round(shares[-1] * steps * 100) // 100))
        shares.append(shares[-1] + max(shares[-1] - shares[-2] - 0.03, 0.06))
    return found
