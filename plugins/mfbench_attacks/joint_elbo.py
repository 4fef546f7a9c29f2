"""Wrong and likely at once: nothing is left for a purifier that raises the ELBO."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from mfbench import HasELBO, Unsupported
from mfbench_attacks.answers import Answers
from mfbench_attacks.rows import Rows
from mfbench_attacks.weighted import Term, WeightedAttack


@dataclass(kw_only=True, eq=False)
class JointELBO(WeightedAttack):
    """Cross-entropy + weight x ELBO in nats, at a small ladder of `weights`; Unsupported without an ELBO.

    An image that is wrong and whose ELBO is high already is where purification ends, not where it begins.
    """

    who: ClassVar[str] = "joint_elbo"

    def term(self, answers: Answers, rows: Rows) -> Term:
        defense: Any = answers.defense
        if not isinstance(defense, HasELBO):
            raise Unsupported(f"joint_elbo needs a defense with an ELBO; {type(defense).__name__} has none")
        return lambda x: defense.elbo(x, rng=answers.rng)
