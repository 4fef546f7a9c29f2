"""The child process of `probe.ask`: imports plugins' code and answers questions about it.

Standard output belongs to the answers; what a plugin prints goes to standard error.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mfbench.cards import Card
from mfbench.errors import UserError
from mfbench.paths import data_root
from mfbench.registry import creation, filemodules, inspection, loading

Question = Mapping[str, Any]


def answer_cards(question: Question) -> dict[str, Any]:
    """What a module or a file registers."""
    plugin, _ = loading.load_source(question["source"], question["version"])
    return plugin.to_json()


def answer_signature(question: Question) -> dict[str, Any]:
    """What a registered class asks for and is."""
    target = _load(question)
    return inspection.read(target, question["kind"], question["name"]).to_json()


def answer_files(question: Question) -> dict[str, Any]:
    """The files that a data set reads, with their SHA-256."""
    data = _load(question)(**question["parameters"], seed=question["seed"])
    return {"files": dict(data.files())}


def answer_missing(question: Question) -> dict[str, Any]:
    """The files of a data set that are not in the data folder."""
    return {"missing": list(_load(question).missing(data_root()))}


def answer_refusal(question: Question) -> dict[str, Any]:
    """Why a constructor, or a protocol, does not take its parameters; None where it does."""
    _add_files(question)
    cards, kind, asked = _Cards(question), question["kind"], (question["name"], question["parameters"])
    try:
        if kind == "protocol":
            creation.check_parameters(cards, *asked)
        else:
            creation.create(cards, kind, *asked)
    except UserError as error:
        return {"refusal": str(error)}
    return {"refusal": None}


class _Cards:
    """The cards that came with a question, as a source of instances."""

    def __init__(self, question: Question) -> None:
        cards = [Card(**card) for card in question["cards"]]
        self._cards = {(card.kind, card.name): card for card in cards}

    def card(self, kind: str, name: str) -> Card:
        return self._cards[kind, name]

    def load(self, card: Card) -> type:
        return inspection.import_target(card.target)


ANSWERS: dict[str, Callable[[Question], dict[str, Any]]] = {
    "cards": answer_cards,
    "signature": answer_signature,
    "files": answer_files,
    "missing": answer_missing,
    "refusal": answer_refusal,
}


def _load(question: Question) -> Any:
    _add_files(question)
    return inspection.import_target(question["target"])


def _add_files(question: Question) -> None:
    for file in question["sources"]:
        filemodules.add_file(Path(file))


def answer(question: Question) -> dict[str, Any]:
    try:
        return {"error": None, **ANSWERS[question["ask"]](question)}
    except BaseException as error:  # whatever a plugin raises, SystemExit included, is the answer
        return {"error": loading.describe(error)}


def die_with_parent() -> None:
    """Have Linux kill this process when its parent ends, however that came about."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def main() -> None:
    die_with_parent()
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for question in json.load(sys.stdin):
        print(json.dumps(answer(question)), file=answers, flush=True)
    os._exit(0)  # skip the exit handlers of whatever was imported: every answer is out


if __name__ == "__main__":
    main()
