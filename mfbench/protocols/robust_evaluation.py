"""The measurement that `patch_robustness` and `linf_robustness` share: everything but the threat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mfbench.contracts import (
    Attack,
    Dataset,
    Defense,
    HasELBO,
    HasEvidence,
    HasSurrogate,
    Measurement,
    Threat,
    Unrollable,
    Value,
)
from mfbench.errors import Unsupported, UserError
from mfbench.protocols.draws import Streams
from mfbench.protocols.robust_answers import (
    Answers,
    changed_answers,
    labelled_images,
    require_same_classes,
    shares,
)
from mfbench.protocols.robust_attacks import Campaign, asked_as, attack_all, survival
from mfbench.protocols.robust_metrics import share_value
from mfbench.protocols.robust_pool import pooled
from mfbench.protocols.robust_sanity import (
    FLAG,
    Probe,
    broken_certificates,
    certified,
    gradient_free_beats,
    look_at_logits,
    look_at_randomness,
    without_bounds,
)
from mfbench.protocols.robust_semantics import TRACED, kept, semantic_consistency, stages

Array = NDArray[Any]

LEAST = {"checked": 0, "count": 2, "draws": 2, "queries": 1, "restarts": 1, "steps": 1}
"""The least that each number of an evaluation can be."""


@dataclass(frozen=True)
class Plan:
    """What is asked, whatever the threat.

    transfer: made against the classifier without its defense. attacks: the ladder. written_for: attacks that
    were made for this very defense, or None. probe: by which sanity is checked, on `checked` images.
    classifier: an independent one, or None. draws: of a random defense.
    """

    who: str
    transfer: Attack
    attacks: Sequence[Attack]
    written_for: Sequence[Attack] | None
    probe: Attack
    classifier: Defense | None
    count: int
    checked: int
    draws: int
    budget: dict[str, int]

    @property
    def all_attacks(self) -> list[Attack]:
        return [self.transfer, *self.attacks, *(self.written_for or ())]


def measure(
    plan: Plan, defense: Defense, data: Dataset, threat: Threat, smaller: Threat, streams: Streams
) -> Measurement:
    """All metrics of one defense. `smaller`: the same threat with a smaller patch, inside the whole one."""
    check(plan)
    x, y, classes = labelled_images(data, plan.count, plan.who)
    answers = Answers(defense, classes, x, streams, plan.draws)
    clean = answers.defended(x, "clean")
    campaign = _campaign(plan, defense, x, y, threat, streams)
    unharmed = shares(clean, y)
    right = survival(campaign, answers, unharmed, y)
    worst = np.min([unharmed, *right.values()], axis=0)

    notes = [*look_at_logits(defense, answers, x), *look_at_randomness(defense, answers)]
    values = [*_accuracies(plan, answers, x, y, clean, campaign, right), *_costs(campaign)]
    proven = certified(defense, x, y, threat)
    if proven is not None:
        values.append(share_value("certified_accuracy", "", proven))
        notes += broken_certificates(proven, worst)
    transfer = campaign.attacks[0]
    some = len(x) if plan.classifier is not None else TRACED  # purification may be all the cost there is
    images = stages(answers, x[:some], transfer.x[:some])
    if plan.classifier is not None:
        require_same_classes(plan.classifier, x, classes, plan.who)
        values += semantic_consistency(answers, plan.classifier, images)
    purified = answers.defended(transfer.x, asked_as(transfer))[0, :some]
    arrays = kept(answers, images, purified, y[:some]) | pooled(campaign, right, x, y)
    if plan.checked:
        probe = Probe(plan.probe, answers, x[: plan.checked], y[: plan.checked], streams)
        bounded = probe.run(threat, plan.budget["steps"], smaller)
        free = without_bounds([plan.probe, *plan.attacks], probe, plan.budget)
        notes += gradient_free_beats(plan.all_attacks, probe, threat)
        for found in (bounded, free):
            values, notes = [*values, *found.values], [*notes, *found.notes]
            arrays |= found.arrays
    values.append(Value("flags", "", sum(note.startswith(FLAG) for note in notes)))

    ranked = has_opening(defense, answers, x) or plan.written_for is not None
    values += _verdict(worst, right, ranked)
    if not ranked:
        notes.append(
            "provisional, unranked: it gives attackers nothing to go by, and none was written for it"
        )
    scores = {"images": worst} if ranked else {}
    return Measurement(values, scores, arrays, notes=[*notes, *campaign.notes])


def _campaign(
    plan: Plan, defense: Defense, x: Tensor, y: Tensor, threat: Threat, streams: Streams
) -> Campaign:
    """All attacks, `transfer` first; Unsupported where that cannot be tried, as two metrics are of it."""
    first = attack_all([plan.transfer], defense, x, y, threat, streams)
    if not first.attacks:
        raise Unsupported(f"{plan.who}: transfer: {'; '.join(first.notes) or 'it tried no image'}")
    rest = attack_all(plan.all_attacks[1:], defense, x, y, threat, streams, first.attacks)
    return Campaign(rest.attacks, list(dict.fromkeys([*first.notes, *rest.notes])))


def check_numbers(who: str, parameters: Mapping[str, Any]) -> None:
    """UserError for a count or a budget below its least, of those that are among the parameters."""
    for name, least in LEAST.items():
        if name in parameters and parameters[name] < least:
            raise UserError(f"{who}: {name} is {parameters[name]}: at least {least}")


def check(plan: Plan) -> None:
    """UserError for numbers that cannot be, and for what is no attack."""
    check_numbers(plan.who, {"checked": plan.checked, "draws": plan.draws, **plan.budget})
    given = [plan.transfer, plan.probe, *plan.attacks, *(plan.written_for or ())]
    for attack in given:
        if not isinstance(attack, Attack):
            raise UserError(f"{plan.who}: {type(attack).__name__} is no attack")


def _accuracies(
    plan: Plan,
    answers: Answers,
    x: Tensor,
    y: Tensor,
    clean: Tensor,
    campaign: Campaign,
    right: dict[str, Array],
) -> list[Value]:
    """Clean and attacked, with the defense and without."""
    without = (answers.undefended(x) == y).double().cpu().numpy()
    transfer = campaign.attacks[0]
    against = (answers.undefended(transfer.x) == y).double().cpu().numpy()
    values = [
        share_value("clean_accuracy", "", shares(clean, y)),
        share_value("undefended_clean_accuracy", "", without),
        share_value("undefended_accuracy", "", against),
        *(share_value("attacked_accuracy", name, found) for name, found in right.items()),
    ]
    if answers.random:
        values.append(share_value("changed_answers", "", changed_answers(clean, answers.classes)))
    return values


def _costs(campaign: Campaign) -> list[Value]:
    """Evaluations an image tried, both ways, where attacks count them."""
    return [
        Value(
            "attack_evaluations",
            one.name,
            sum(one.budget.get(way, 0.0) for way in ("forward", "backward", "defended")),
            int(one.tried.sum()),
        )
        for one in campaign.attacks
        if {"forward", "backward", "defended"} & set(one.budget)
    ]


def _verdict(worst: Array, right: dict[str, Array], ranked: bool) -> list[Value]:
    """The worst case; and the worst single attack, chosen on every other image, on the rest."""
    if not ranked:
        return [share_value("provisional_accuracy", "", worst)]
    values = [share_value("worst_case_accuracy", "", worst)]
    if len(worst) > 3:
        chosen = min(right, key=lambda name: float(right[name][::2].mean()))
        values.append(share_value("worst_attack_accuracy", "", right[chosen][1::2]))
    return values


def has_opening(defense: Defense, answers: Answers, x: Tensor) -> bool:
    """Whether attackers who know it get anywhere: a gradient through its whole answer, or an ability that
    tells them more (`Unrollable`, `HasSurrogate`, `HasELBO`, `HasEvidence`).
    """
    if isinstance(defense, Unrollable | HasSurrogate | HasELBO | HasEvidence):
        return True
    with torch.enable_grad():
        at = x[:4].detach().clone().requires_grad_()
        logits = defense.defended_logits(at, rng=answers.streams("opening"))
        if not logits.requires_grad:
            return False
        (gradient,) = torch.autograd.grad(logits.square().sum(), at, allow_unused=True)
    return gradient is not None and bool(gradient.ne(0).any())
