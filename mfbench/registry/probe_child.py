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

from mfbench.paths import data_root
from mfbench.registry import filemodules, inspection, loading

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


ANSWERS: dict[str, Callable[[Question], dict[str, Any]]] = {
    "cards": answer_cards,
    "signature": answer_signature,
    "files": answer_files,
    "missing": answer_missing,
}


def _load(question: Question) -> Any:
    for file in question["sources"]:
        filemodules.add_file(Path(file))
    return inspection.import_target(question["target"])


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
