"""Signatures of registered classes, read in a child process and kept by the hash of their source."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mfbench.errors import UserError
from mfbench.registry import probe
from mfbench.registry.memo import recall, remember
from mfbench.registry.schema import Parameter, Signature
from mfbench.registry.sources import source_hash

if TYPE_CHECKING:
    from mfbench.cards import Card
    from mfbench.registry import Registry

Key = tuple[str, str]
"""A kind and a name."""


def read_signatures(
    registry: Registry, keys: Iterable[Key], failures: dict[Key, str] | None = None
) -> dict[Key, Signature]:
    """The signatures of registered names; only those not kept from before are imported, in one child.

    A target that cannot be read (it raises, crashes or hangs at import, or breaks its contract) goes into
    `failures` with the reason, where that is given; else it is a UserError.
    """
    cards = {key: registry.card(*key) for key in dict.fromkeys(keys)}
    hashes = {key: source_hash(card) for key, card in cards.items()}
    kept = {key: recall("signatures", _identity(cards[key], hashes[key])) for key in cards}
    missing = [key for key, answer in kept.items() if answer is None]
    failed: dict[Key, str] = {} if failures is None else failures
    answers = probe.ask([_question(registry, "signature", cards[key]) for key in missing]) if missing else []
    for key, answer in zip(missing, answers, strict=True):
        if answer["error"]:
            failed[key] = answer["error"]
        else:
            remember("signatures", _identity(cards[key], hashes[key]), answer)
            kept[key] = answer
    if failures is None and failed:
        raise UserError("; ".join(_complaint(cards[key], reason) for key, reason in failed.items()))
    return {
        key: replace(_signature(answer), source_hash=hashes[key])
        for key, answer in kept.items()
        if answer is not None
    }


def data_manifest(registry: Registry, name: str, parameters: Mapping[str, Any], seed: int) -> dict[str, str]:
    """SHA-256 by path of the files that a data set reads (`Dataset.files`), asked in a child."""
    card = registry.card("dataset", name)
    question = {**_question(registry, "files", card), "parameters": dict(parameters), "seed": seed}
    (answer,) = probe.ask([question], time_limit=600.0)
    if answer["error"]:
        raise UserError(_complaint(card, answer["error"]))
    return dict(answer["files"])


def missing_files(registry: Registry, names: Iterable[str]) -> dict[str, list[str]]:
    """The files that data sets lack in the data folder (`Dataset.missing`), asked in a child.

    Data sets that cannot say are left out.
    """
    cards = [registry.card("dataset", name) for name in names]
    answers = probe.ask([_question(registry, "missing", card) for card in cards]) if cards else []
    return {
        card.name: answer["missing"]
        for card, answer in zip(cards, answers, strict=True)
        if not answer["error"]
    }


def _identity(card: Card, digest: str) -> list[str]:
    return [card.kind, card.name, card.target, digest]


def _question(registry: Registry, ask: str, card: Card) -> dict[str, Any]:
    files = [source for source in registry.sources if source.endswith(".py")]
    return {"ask": ask, "kind": card.kind, "name": card.name, "target": card.target, "sources": files}


def _signature(answer: Mapping[str, Any]) -> Signature:
    return Signature.from_json({field: value for field, value in answer.items() if field != "error"})


def _complaint(card: Card, reason: str) -> str:
    return f"{card.kind} {card.name!r} of plugin {card.plugin} ({card.target}) cannot be used: {reason}"


__all__ = ["Parameter", "Signature", "data_manifest", "missing_files", "read_signatures"]
