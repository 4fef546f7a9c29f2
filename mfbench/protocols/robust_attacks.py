"""Attacks run against one defense: each attack's images, held to the threat, and what they came to."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mfbench.contracts import Attack, ClimbsLadder, Defense, Rung, Threat
from mfbench.errors import ContractError, Unsupported
from mfbench.protocols.checked import checked_samples
from mfbench.protocols.draws import Streams
from mfbench.protocols.robust_answers import BATCH, Answers, shares
from mfbench.threats import breaches

Array = NDArray[Any]


@dataclass(frozen=True)
class Attacked:
    """What one attack found: images x (n, ...), for which images it was tried (n,), what it took an image."""

    name: str
    x: Tensor
    tried: Tensor
    budget: Mapping[str, float] = field(default_factory=dict)
    follows: str = ""
    """Name of the attack before it in the same cascade: images not tried were turned by then."""


@dataclass(frozen=True)
class Campaign:
    """All attacks on a defense, in order, and notes on those that could not be tried."""

    attacks: Sequence[Attacked]
    notes: Sequence[str]


def attack_all(
    attacks: Sequence[Attack],
    defense: Defense,
    x: Tensor,
    y: Tensor,
    threat: Threat,
    streams: Streams,
    before: Sequence[Attacked] = (),
) -> Campaign:
    """Each attack on all of the images, after those `before`; a ladder gives one entry a rung. Names are made
    distinct.

    An attack that is Unsupported for this defense is left out, and a note says why. ContractError for images
    that do not keep to the threat.
    """
    found = list(before)
    notes: list[str] = []
    for attack in attacks:
        try:
            rungs, said = _run(attack, defense, x, y, threat, streams)
        except Unsupported as reason:
            notes.append(f"not tried: {reason}")
            continue
        notes += said
        follows = ""
        for rung in rungs:
            name = _distinct(rung.name, [one.name for one in found])
            found.append(replace(rung, name=name, follows=follows))
            follows = name
    return Campaign(found, list(dict.fromkeys(notes)))


def _run(
    attack: Attack, defense: Defense, x: Tensor, y: Tensor, threat: Threat, streams: Streams
) -> tuple[list[Attacked], list[str]]:
    parts = []
    for start in range(0, len(x), BATCH):
        rows = slice(start, start + BATCH)
        rng = streams("attack", attack_name(attack), str(start))
        parts.append(_rungs(attack, defense, x[rows], y[rows], threat, rng))
    merged = [_merged(list(same)) for same in zip(*parts, strict=True)]
    notes = [note for part in parts for rung in part for note in rung.notes]
    for rung in merged:
        _check(attack, rung, x, threat)
    tried = [rung for rung in merged if bool(rung.tried.any())]
    return tried, notes


def _rungs(
    attack: Attack, defense: Defense, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator
) -> Sequence[Rung]:
    if isinstance(attack, ClimbsLadder):
        return attack.climb(defense, x, y, threat=threat, rng=rng)
    changed = attack.perturb(defense, x, y, threat=threat, rng=rng)
    everywhere = torch.ones(len(x), dtype=torch.bool, device=x.device)
    return [Rung(attack_name(attack), changed, everywhere, everywhere)]


def _merged(rungs: Sequence[Rung]) -> Attacked:
    """The batches of one rung: images one after the other, costs a mean over the images tried."""
    tried = torch.cat([rung.tried for rung in rungs])
    weights = [float(rung.tried.sum()) for rung in rungs]
    total = sum(weights) or 1.0
    names = {name for rung in rungs for name in rung.budget}
    budget = {
        name: sum(w * rung.budget.get(name, 0.0) for w, rung in zip(weights, rungs)) / total
        for name in sorted(names)
    }
    x = torch.cat([rung.x for rung in rungs]).detach()
    return Attacked(rungs[0].attack, x, tried, budget)


def _check(attack: Attack, found: Attacked, x: Tensor, threat: Threat) -> None:
    checked_samples(found.x, tuple(x.shape), attack, "perturb")
    broken = int(breaches(x, found.x, threat).sum())
    if broken:
        raise ContractError(f"attack {found.name}: {broken} of {len(x)} images do not keep to the threat")


def attack_name(attack: Attack) -> str:
    """What it calls itself (`who`), or its class's name as registered names are spelled."""
    own = getattr(attack, "who", None)
    if isinstance(own, str):
        return own
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", type(attack).__name__).lower()


def _distinct(name: str, taken: Sequence[str]) -> str:
    count = sum(other == name or other.startswith(f"{name} #") for other in taken)
    return f"{name} #{count + 1}" if count else name


def parted(attacks: Sequence[Attack]) -> tuple[list[Attack], list[Attack]]:
    """Those that follow gradients, and those that say they are `gradient_free`. A ladder is parted, too, by
    its `attacks`: one of all that follow gradients, and one of each that does not.
    """
    sighted: list[Attack] = []
    blind: list[Attack] = []
    for attack in attacks:
        rungs = getattr(attack, "attacks", None) if isinstance(attack, ClimbsLadder) else None
        if rungs is None:
            (blind if getattr(attack, "gradient_free", False) else sighted).append(attack)
            continue
        seeing, unseeing = parted(rungs)
        sighted += [_ladder_of(attack, seeing)] if seeing else []
        blind += [_ladder_of(attack, [one]) for one in unseeing]
    return sighted, blind


def _ladder_of(ladder: Attack, attacks: Sequence[Attack]) -> Attack:
    """The same ladder, budgets and all, of these attacks."""
    other = cast(Any, copy.copy(ladder))
    other.attacks = attacks
    return cast(Attack, other)


def survival(campaign: Campaign, answers: Answers, clean: Array, y: Tensor) -> dict[str, Array]:
    """By attack, (n,): the share of fresh draws in which the defense is right.

    Where a cascade did not try an image again, what the attacks before it left of it; `clean`, (n,), where
    there was none before.
    """
    found: dict[str, Array] = {}
    for attacked in campaign.attacks:
        tried = attacked.tried.cpu().numpy()
        left = found[attacked.follows] if attacked.follows else clean
        own = left.copy()
        if tried.any():
            labels = answers.defended(attacked.x[attacked.tried], asked_as(attacked))  # fresh draws
            own[tried] = shares(labels, y[attacked.tried])
        found[attacked.name] = own if tried.all() else np.minimum(own, left)
    return found


def asked_as(attacked: Attacked) -> str:
    """By which name a defense is asked about what an attack found: one that no other images have."""
    return f"attacked by {attacked.name}"
