"""What a likelihood promises: one score a sample, in nats where it is a density, seen above unseen."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from mfbench.contracts import EstimatesDimension, KnowsOutliers
from mfbench.errors import Unsupported
from mfbench.measures import auroc
from mfbench.protocols.checked import checked_scores
from mfbench.testing.data import Unlike
from mfbench.testing.findings import NotApplicable, require
from mfbench.testing.mass import Weighted, weigh
from mfbench.testing.methods import Check, MethodChecks

BOUNDS = ("exact", "lower", "score")
EASY = 0.75
"""AUROC that any working score reaches on the easy pair."""
TOLERANCE, ERRORS = 0.1, 4.0
"""A density integrates to 1 within the first and so many standard errors of the estimate."""
UNITS = {"log10": 10.0, "log2": 2.0}


class LikelihoodChecks(MethodChecks):
    """Asked for the scores of test samples."""

    kind = "likelihood"

    @cached_property
    def unlike(self) -> Unlike:
        """The other set of the easy pair."""
        return Unlike(self.data)

    @cached_property
    def ranks(self) -> bool:
        """False for those that only estimate dimensions: their answer is checked in place of a score."""
        score = self.method.score
        if not isinstance(self.method, EstimatesDimension):
            return True
        try:
            score(self.inputs[:1].clone(), rng=self.workshop.rng("check"))
        except Unsupported:
            return False
        return True

    def respond(self, method: Any, x: Tensor, rng: torch.Generator) -> Tensor:
        if isinstance(method, KnowsOutliers):
            return method.score_against(x, self.unlike, rng=rng)
        if not self.ranks:
            return self._dimensions(method, x, rng)
        scores: Tensor = method.score(x, rng=rng)
        return scores

    def own(self) -> list[Check]:
        return [self.scores, self.dimensions, self.densities, self.integral, self.orientation]

    def scores(self) -> None:
        """Shape (n,), floating-point, no NaN, for one sample and for many."""
        for count in (1, len(self.inputs)):
            answer = self.respond(self.method, self.inputs[:count].clone(), self.workshop.rng("check"))
            checked_scores(answer, count, self.method)

    def dimensions(self) -> None:
        """Where it estimates dimensions: shape (n,), floating-point, no NaN, for one sample and for many."""
        if not isinstance(self.method, EstimatesDimension):
            raise NotApplicable("it does not estimate dimensions")
        for count in (1, len(self.inputs)):
            answer = self._dimensions(self.method, self.inputs[:count].clone(), self.workshop.rng("check"))
            checked_scores(answer, count, self.method, "intrinsic_dimension")

    def _dimensions(self, method: EstimatesDimension, x: Tensor, rng: torch.Generator) -> Tensor:
        return method.intrinsic_dimension(x, rng=rng)

    def densities(self) -> str | None:
        """`log_prob` too, unless `bound` says that it only ranks."""
        bound = self.method.bound
        require(bound in BOUNDS, f"bound is {bound!r}; it must be one of {', '.join(BOUNDS)}")
        if bound == "score":
            raise NotApplicable("it only ranks")
        log_prob = self.method.log_prob(self.inputs.clone(), rng=self.workshop.rng("check"))
        checked_scores(log_prob, len(self.inputs), self.method, "log_prob")
        return f"bound: {bound}"

    def integral(self) -> str | None:
        """In the plane exp(log_prob) integrates to 1 if it is "exact", to at most 1 if it is "lower"."""
        bound, shape = self.method.bound, tuple(self.data.shape)
        if bound == "score":
            raise NotApplicable("it only ranks")
        if shape != (2,):
            raise NotApplicable(f"integrals are taken in the plane; it works on {self.data.name} {shape}")
        rng = self.workshop.rng("check")
        found = weigh(lambda x: self.method.log_prob(x, rng=rng), self.data.train.x)
        log, margin = found.log_integral(), math.log1p(TOLERANCE + ERRORS * found.error)
        said = f"exp(log_prob) integrates to {_exponential(log)} (to {ERRORS * found.error:.0%})"
        goal, right = ("1", abs(log) <= margin) if bound == "exact" else ("at most 1", log <= margin)
        require(right, f"{said}, not to {goal}: {_explained(found)}")
        if margin > math.log(2):
            raise NotApplicable(f"{said}: too uncertain to tell")
        return said

    def orientation(self) -> str | None:
        """Seen samples score above those of an easy other set."""
        if self.method.role == "control":
            raise NotApplicable("a control need not tell anything apart")
        if not self.ranks:
            raise NotApplicable("it estimates dimensions and ranks nothing")
        seen = self.answer(x=self.data.test.x).cpu()
        unseen = self.answer(x=self.unlike.test.x).cpu()
        found = auroc(seen, unseen)
        reversed_ = "; higher must mean more in-distribution: is the sign reversed?" if found < 0.5 else ""
        require(found >= EASY, f"AUROC {found:.3f} on an easy pair (needed: {EASY}){reversed_}")
        return f"AUROC {found:.3f} on an easy pair"


def _exponential(log: float) -> str:
    """exp(log) for a reader."""
    return f"{math.exp(log):.3g}" if abs(log) < 10 else f"e^{log:.1f}"


def _explained(found: Weighted) -> str:
    """What would be the cause of such an integral: another base of the logarithm, or a constant."""
    for name, base in UNITS.items():
        if abs(found.log_integral(base)) <= math.log1p(TOLERANCE + ERRORS * found.error):
            return f"it is in {name}, and must be in nats (the natural logarithm)"
    return f'it is off by {found.log_integral():+.2f} nats, or is no density (then bound is "score")'
