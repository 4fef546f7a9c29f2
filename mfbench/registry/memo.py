"""What a child process said about a plugin, kept as JSON in the cache folder.

An entry is named by everything its answer depends on, the bench's own reading code and Python's version
included. A cache that cannot be read or written costs time and nothing else.
"""

from __future__ import annotations

import hashlib
import json
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

from mfbench.identity import sha256_of
from mfbench.paths import cache_root, write_atomically


def recall(folder: str, identity: Any) -> dict[str, Any] | None:
    """The answer kept under an identity (anything that JSON can hold), or None."""
    try:
        kept = json.loads(_path(folder, identity).read_bytes())
        answer: dict[str, Any] = kept["answer"]
        return answer if sha256_of(answer) == kept["sha256"] else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def remember(folder: str, identity: Any, answer: dict[str, Any]) -> None:
    """Keep an answer."""
    try:
        kept = {"answer": answer, "sha256": sha256_of(answer)}
        write_atomically(_path(folder, identity), json.dumps(kept))
    except OSError:
        return


def _path(folder: str, identity: Any) -> Path:
    return cache_root() / folder / f"{sha256_of([identity, sys.version, _reader_hash()])}.json"


@lru_cache(maxsize=1)
def _reader_hash() -> str:
    """SHA-256 of the code that reads plugins: this room, the contracts, and the ground floor."""
    here = Path(__file__).parent
    ground = here.parent
    hasher = hashlib.sha256()
    for file in sorted([*here.glob("*.py"), *ground.glob("contracts/*.py"), *ground.glob("*.py")]):
        hasher.update(file.read_bytes())
    return hasher.hexdigest()
