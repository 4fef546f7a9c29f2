"""Past the lookout: wrong, and no more suspicious than the clean image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from mfbench import HasEvidence, Unsupported
from mfbench_attacks.answers import Answers
from mfbench_attacks.rows import Rows
from mfbench_attacks.weighted import Term, WeightedAttack

_LEAST = 1e-6


@dataclass(kw_only=True, eq=False)
class Evasion(WeightedAttack):
    """Cross-entropy - weight x what the evidence exceeds that of the clean image by, in shares of the latter.

    Of a score (n,) the excess counts, of a map (n, h, w) its mean within the mask; where a defense
    exposes several (a detector, a locator, an error of reconstruction) they add up. Unsupported for a defense
    that is not `HasEvidence`.
    """

    who: ClassVar[str] = "evasion"

    weights: Sequence[float] = (1.0, 10.0, 100.0)

    def term(self, answers: Answers, rows: Rows) -> Term:
        defense: Any = answers.defense
        if not isinstance(defense, HasEvidence):
            raise Unsupported(
                f"evasion needs a defense that HasEvidence; {type(defense).__name__} shows none"
            )

        def levels(x: Tensor) -> dict[str, Tensor]:
            found = defense.evidence(x, rng=answers.rng)
            return {name: _level(values, rows) for name, values in found.items()}

        with torch.no_grad():
            clean = levels(rows.clean)

        def term(x: Tensor) -> Tensor:
            excess = x.new_zeros(len(x))
            for name, level in levels(x).items():
                excess = excess + (level - clean[name]).relu() / clean[name].abs().clamp(min=_LEAST)
            return -excess

        return term


def _level(values: Tensor, rows: Rows) -> Tensor:
    """(b,): a score itself, of a map (b, h, w) the mean within the mask."""
    if values.ndim == 1:
        return values
    free = rows.free[:, 0]
    return (values * free).flatten(1).sum(dim=1) / free.flatten(1).sum(dim=1)
