"""Which parameters constructors and protocols refuse: asked before anything runs, kept where none does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from mfbench.cards import Card
from mfbench.registry import probe
from mfbench.registry.memo import recall, remember

if TYPE_CHECKING:
    from mfbench.registry import Registry

_FOLDER = "constructed"


@dataclass(frozen=True)
class Trial:
    """A method or data set to be constructed with all it refers to, or a protocol with what it is given.

    parameters: of its choice, references and files included. sources: the source hash of every target
        involved, by (kind, name). identity: what the choice is known by.
    """

    kind: str
    name: str
    parameters: Mapping[str, Any]
    sources: Mapping[tuple[str, str], str]
    identity: str


def read_refusals(registry: Registry, trials: Sequence[Trial]) -> list[str | None]:
    """The message of the UserError that each constructor or `check_parameters` raises; None where none.

    All that were not constructed before are, in one child. Whatever else goes wrong there (a crash, a hang,
    another exception) is not told here: the cell will meet it. Refusals are not kept: what a constructor
    misses (a file, a package) may be there the next time.
    """
    identities = [_identity(registry, trial) for trial in trials]
    unknown = [i for i, identity in enumerate(identities) if recall(_FOLDER, identity) is None]
    answers = probe.ask([_question(registry, trials[i]) for i in unknown]) if unknown else []
    refusals: list[str | None] = [None] * len(trials)
    for i, answer in zip(unknown, answers, strict=True):
        if answer["error"] is None:
            refusals[i] = answer["refusal"]
        if answer == {"error": None, "refusal": None}:
            remember(_FOLDER, identities[i], answer)
    return refusals


def _cards(registry: Registry, trial: Trial) -> list[Card]:
    return [registry.card(*key) for key in trial.sources]


def _identity(registry: Registry, trial: Trial) -> list[Any]:
    made_of = [[card.kind, card.name, card.target] for card in _cards(registry, trial)]
    return [trial.identity, made_of, list(trial.sources.values())]


def _question(registry: Registry, trial: Trial) -> dict[str, Any]:
    return {
        "ask": "refusal",
        "kind": trial.kind,
        "name": trial.name,
        "parameters": dict(trial.parameters),
        "cards": [asdict(card) for card in _cards(registry, trial)],
        "sources": [source for source in registry.sources if source.endswith(".py")],
    }
