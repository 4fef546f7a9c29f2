"""`--set KEY=VALUE`: changes to a suite from the command line. VALUE is TOML; KEY is one of

suite.KEY          a key of [suite]: suite.seeds=[0]
run.N.KEY[.KEY]    a key of the N-th [[run]], from 0: run.0.rounds=100, run.0.methods.1.bandwidth=0.1
executor.NAME.KEY  a setting of an executor: executor.dask.address="tcp://head:8786"
NAME               a parameter of every protocol, data set, method and reference that has it: iterations=100
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from mfbench.errors import UserError
from mfbench.suite.toml import parse_toml
from mfbench.wording import Where, show


@dataclass(frozen=True)
class Override:
    """One setting; `text` is how it was written."""

    text: str
    path: tuple[str, ...]
    value: Any

    @property
    def bare(self) -> bool:
        """Is it a parameter's name alone, and so holds for everyone who has the parameter?"""
        return len(self.path) == 1

    @property
    def where(self) -> Where:
        """The place that messages name."""
        return Where(f"--set {show(self.text)}")


def read_overrides(settings: Sequence[str]) -> list[Override]:
    """The settings, parsed; UserError for one that is not KEY=VALUE or whose value is not TOML."""
    overrides = [_read(text) for text in settings]
    seen: set[tuple[str, ...]] = set()
    for override in overrides:
        if override.path in seen:
            raise override.where.error(f"{'.'.join(override.path)} is set twice")
        seen.add(override.path)
    return overrides


def apply_overrides(raw: dict[str, Any], overrides: Iterable[Override]) -> None:
    """Write those with a path into the parsed suite, in place; UserError where the path leads nowhere."""
    for override in overrides:
        if not override.bare:
            _put(raw, override)


def _read(text: str) -> Override:
    where = Where(f"--set {show(text)}")
    key, equals, value = text.partition("=")
    path = tuple(part.strip() for part in key.split("."))
    if not equals or not all(path):
        raise where.error("expected KEY=VALUE with KEY suite.KEY, run.N.KEY or a parameter's name")
    if (
        len(path) > 1
        and not (path[0] == "suite" and len(path) == 2)
        and not (path[0] in ("run", "executor") and len(path) > 2)
    ):
        raise where.error("the key must be suite.KEY, run.N.KEY or a parameter's name")
    return Override(_printable(where, text), path, _value(where, value))


def _printable(where: Where, text: str) -> str:
    """`text`, refused where it could not stand in a UTF-8 file as one line."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise where.error("is not UTF-8 text") from None
    if not text.isprintable():
        raise where.error("must be one line of printable text")
    return text


def _value(where: Where, text: str) -> Any:
    try:
        return parse_toml(f"value = {text}\n", where)["value"]
    except UserError as error:
        raise UserError(f"{error}; VALUE is TOML, and texts need quotes: KEY='\"text\"'") from None


def _put(raw: dict[str, Any], override: Override) -> None:
    """Walk down to the last key, turning names into tables and making tables that are missing."""
    here: Any = raw
    for key in override.path[:-1]:
        slot = _slot(here, key, override.where)
        if isinstance(here, dict):
            here.setdefault(slot, {})
        if isinstance(here[slot], str):
            here[slot] = {"name": here[slot]}
        here = here[slot]
    here[_slot(here, override.path[-1], override.where)] = override.value


def _slot(here: Any, key: str, where: Where) -> str | int:
    """What indexes `here` at `key`: the key of a table, the index of a list."""
    if isinstance(here, dict):
        return key
    if not isinstance(here, list):
        raise where.error(f"{show(key)} leads nowhere: {show(here)} has no keys")
    if not key.isdecimal() or int(key) >= len(here):
        raise where.error(f"{show(key)} is not an item of this list: give 0 to {len(here) - 1}")
    return int(key)
