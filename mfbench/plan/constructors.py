"""Asks constructors and protocols, before anything runs, whether they take what the suite gives them."""

from __future__ import annotations

from collections.abc import Iterable

from mfbench.plan.choices import Choice, Resolver
from mfbench.plan.expansion import Combination
from mfbench.registry.refusals import Trial, read_refusals
from mfbench.registry.schema import Signature


def check_constructors(combinations: Iterable[Combination], resolver: Resolver) -> None:
    """UserError, naming the place in the suite, for the first method, data set or protocol that refuses its
    parameters.

    Targets that cannot be read are left to their cells.
    """
    choices = _distinct(combinations)
    refusals = read_refusals(resolver.catalog.registry, [_trial(choice) for choice in choices])
    for choice, refusal in zip(choices, refusals, strict=True):
        if refusal is not None:
            raise resolver.places[choice.key].error(refusal)


def _distinct(combinations: Iterable[Combination]) -> list[Choice]:
    """Each method, data set and protocol that checks, those referred to before those that refer to them."""
    found: dict[str, Choice] = {}
    for one in combinations:
        for choice in (one.protocol, one.data, one.method):
            found |= {part.key: part for part in choice.everything()}
    return [c for c in found.values() if _answers(c.signature) and not c.unreadable]


def _answers(signature: Signature) -> bool:
    return signature.kind != "protocol" or signature.checks_parameters


def _trial(choice: Choice) -> Trial:
    involved = {(c.signature.kind, c.name): c.signature.source_hash for c in choice.everything()}
    return Trial(choice.signature.kind, choice.name, choice.json["parameters"], involved, choice.text)
