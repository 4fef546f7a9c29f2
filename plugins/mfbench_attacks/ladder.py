"""Attack after attack with equal budgets: what each comes to, and the worst for each image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from mfbench import (
    Attack,
    ClimbsLadder,
    ContractError,
    Defense,
    Ref,
    Rung,
    Threat,
    Unsupported,
    UserError,
    breaches,
)
from mfbench_attacks.answers import Answers
from mfbench_attacks.arguments import require_at_least, require_images, require_threat
from mfbench_attacks.ascent import Best
from mfbench_attacks.audit import audit
from mfbench_attacks.counting import counted
from mfbench_attacks.gradient_attack import ImageAttack
from mfbench_attacks.labels import label_of

_AUDITED = 64
"""Images on which the defense is looked at for masked gradients."""


@dataclass(kw_only=True, eq=False)
class Ladder(ImageAttack, ClimbsLadder):
    """All `attacks` in order, each with at most `steps`, `restarts` and `queries`, equal for all of them and
    for every defense; an attack that asks for less keeps to that.

    `cascade`: an attack is tried on the images only that none before it has turned; not on a random defense,
    where an image that one draw turns is none that all turn. `draws`: of a random defense, averaged when it
    is looked at whether an image is turned. What an attack cannot be tried on
    (no ELBO, no evidence) is said in its rung, and so is what masks gradients. An attack that
    breaches the threat is a ContractError.
    """

    who: ClassVar[str] = "ladder"

    attacks: Sequence[Ref] = (
        "paste",
        "patch_pgd",
        "bpda",
        "apgd",
        "joint_elbo",
        "evasion",
        "eot",
        "unrolled",
        "patch_random_search",
    )
    steps: int = 100
    restarts: int = 1
    queries: int = 1000
    draws: int = 1
    cascade: bool = True

    def __post_init__(self) -> None:
        counts = {"steps": self.steps, "restarts": self.restarts, "queries": self.queries}
        require_at_least(self.who, 1, **counts, draws=self.draws, number_of_attacks=len(self.attacks))

    def perturb(
        self, defense: Defense, x: Tensor, y: Tensor, *, threat: Threat, rng: torch.Generator
    ) -> Tensor:
        """For each image what the defense likes least of all that was tried."""
        require_images(x, y)
        best = Best(x.clone(), torch.full((len(x),), -torch.inf, device=x.device, dtype=x.dtype))
        for rung, margins in self._rungs(defense, x, y, threat, rng):
            best = best.update(rung.x, margins)
        return best.x

    def climb(
        self, defense: Defense, x: Tensor, y: Tensor, *, threat: Threat, rng: torch.Generator
    ) -> Sequence[Rung]:
        return [rung for rung, _ in self._rungs(defense, x, y, threat, rng)]

    def _rungs(
        self, defense: Defense, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator
    ) -> Iterator[tuple[Rung, Tensor]]:
        """Each rung with the margins (n,) of its images, -inf where it was not tried."""
        require_images(x, y)
        require_threat(threat, x)
        if not len(x):
            return
        answers = Answers(defense, x, y, rng)
        notes = audit(defense, x[:_AUDITED], y[:_AUDITED], rng)
        threat = replace(threat, budget=self._budget(threat))
        cascade = self.cascade and not answers.random
        left = torch.ones_like(y, dtype=torch.bool)
        if cascade:
            left = answers.margins(x, y) <= 0
        tried: set[str] = set()
        for attack in self.attacks:
            rung, margins = self._rung(attack, answers, (x, y), threat, left, tried)
            tried.add(getattr(attack, "who", ""))
            if notes:
                rung, notes = replace(rung, notes=[*notes, *rung.notes]), []
            if cascade:
                left = left & ~rung.turned
            yield rung, margins

    def _budget(self, threat: Threat) -> dict[str, int]:
        """The ladder's own, or what the threat allows where that is less."""
        own = {"steps": self.steps, "restarts": self.restarts, "queries": self.queries}
        given = threat.budget or {}
        return {name: min(value, given.get(name, value)) for name, value in own.items()}

    def _rung(
        self,
        attack: Attack,
        answers: Answers,
        images: tuple[Tensor, Tensor],
        threat: Threat,
        left: Tensor,
        before: set[str],
    ) -> tuple[Rung, Tensor]:
        """One attack on the images that are left, after those called `before`."""
        x, y = images
        name, nothing = _name(attack), torch.zeros_like(left)
        margins = torch.full((len(x),), -torch.inf, device=x.device, dtype=x.dtype)
        budget: dict[str, float] = dict(threat.budget or {})
        if not bool(left.any()):
            return Rung(name, x, nothing, nothing, budget), margins
        twin = attack.repeats(answers) if isinstance(attack, ImageAttack) else ""
        if twin and twin in before:
            return Rung(
                name, x, nothing, nothing, budget, [f"{name} does what {twin} did: not tried"]
            ), margins
        with counted(answers.defense) as count:
            try:
                found = attack.perturb(answers.defense, x[left], y[left], threat=threat, rng=answers.rng)
            except Unsupported as reason:
                return Rung(name, x, nothing, nothing, budget, [f"not tried: {reason}"]), margins
        _require_within(name, x[left], found, threat)
        changed = x.clone()
        changed[left] = found
        margins[left] = answers.margins(found, y[left], self.draws)
        spent = budget | count.over(int(left.sum()))
        return Rung(name, changed, left, left & (margins > 0), spent), margins


def _name(attack: Attack) -> str:
    if isinstance(attack, str):
        raise UserError(
            f"ladder: attack {attack!r} is a name: make the ladder by mfbench.get, or give attacks themselves"
        )
    return label_of(attack)


def _require_within(name: str, x: Tensor, found: Tensor, threat: Threat) -> None:
    if found.shape != x.shape:
        raise ContractError(f"attack {name} returned shape {tuple(found.shape)} for images {tuple(x.shape)}")
    beyond = int(breaches(x, found, threat).sum())
    if beyond:
        raise ContractError(f"attack {name} breaches the threat in {beyond} of {len(x)} images")
