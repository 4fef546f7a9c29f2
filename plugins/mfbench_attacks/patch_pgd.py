"""Projected gradient descent on the undefended classifier: what is found transfers to the defense, or not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mfbench_attacks.answers import Answers
from mfbench_attacks.arguments import require_at_least
from mfbench_attacks.gradient_attack import GradientAttack
from mfbench_attacks.oracles import LogitOracle, Oracle
from mfbench_attacks.rows import Rows


@dataclass(kw_only=True, eq=False)
class PatchPGD(GradientAttack):
    """PGD on the undefended classifier, confined to the mask (Madry et al. 2018; Tu et al. 2023)."""

    who: ClassVar[str] = "patch_pgd"

    def oracle(self, answers: Answers, rows: Rows) -> Oracle:
        return LogitOracle(answers.undefended, self.loss)


@dataclass(kw_only=True, eq=False)
class NesterovPatchPGD(PatchPGD):
    """The same with Nesterov's look-ahead (Lin et al. 2020): gradients are taken where momentum leads.

    `momentum`: mu, what is kept of the direction at each step.
    """

    who: ClassVar[str] = "patch_pgd_nag"

    momentum: float = 0.9  # type: ignore[misc]

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least(self.who, 0, momentum=self.momentum)
