"""What a likelihood promises: one score a sample, in nats where it is a density, seen above unseen."""

from __future__ import annotations

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
from mfbench.testing.methods import Check, MethodChecks

BOUNDS = ("exact", "lower", "score")
EASY = 0.75
"""AUROC that any working score reaches on the easy pair."""


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
        return [self.scores, self.dimensions, self.densities, self.orientation]

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
