"""Reads a suite (TOML) and checks all that can be checked without knowing any method.

Names and their parameters are checked against signatures when the suite is planned (`mfbench.plan.choices`).
Every mistake is a UserError of one line that says the file, the key, what is wrong and what would be right;
lists count from 0, as `--set run.0.count=100` does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mfbench.errors import UserError
from mfbench.registry.loading import resolve_source
from mfbench.suite.definitions import expand
from mfbench.suite.fields import (
    Reader,
    as_is,
    boolean,
    items,
    one_of,
    read_table,
    seconds,
    size,
    string,
    table,
    whole,
)
from mfbench.suite.overrides import apply_overrides, read_overrides
from mfbench.suite.toml import parse_toml, read_text
from mfbench.wording import Where, show

_LARGEST_SEED = 2**32 - 1
RUN_KEYS = ("protocol", "data", "methods", "grid", "seeds", "time_limit", "fit_time_limit")
"""The keys of [[run]] that are not parameters of its protocol; the first three must be there."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True)
class Entry:
    """A protocol, data set, method or reference as a suite names it: its parameters are still unchecked."""

    where: Where
    name: str
    parameters: Mapping[str, Any]

    @property
    def raw(self) -> dict[str, Any]:
        """As a table."""
        return {**self.parameters, "name": self.name}


@dataclass(frozen=True)
class RunEntry:
    """One `[[run]]`: methods x grid x seeds (its own, or the suite's), by one protocol on one data set."""

    where: Where
    index: int
    protocol: Entry
    data: Entry
    methods: tuple[Entry, ...]
    grid: Mapping[str, tuple[Any, ...]]
    seeds: tuple[int, ...]
    time_limit: float
    fit_time_limit: float


@dataclass(frozen=True)
class Suite:
    """A checked suite. `text` is the file's, with every `--set` as a comment below it.

    Limits are in seconds and bytes; `bare` holds the `--set NAME=VALUE` that hold for whoever has the
    parameter; `folder` is where relative paths start.
    """

    where: Where
    folder: Path
    text: str
    name: str
    seeds: tuple[int, ...]
    runs: tuple[RunEntry, ...]
    threads: int = 1
    dtype: str = "float32"
    time_limit: float = 600.0
    fit_time_limit: float = 3600.0
    memory_limit: int | None = None
    plugins: tuple[str, ...] = ()
    timing: bool = True
    timing_budget: float = 2.0
    description: str = ""
    bare: Mapping[str, Any] = field(default_factory=dict)
    executors: Mapping[str, tuple[Where, Mapping[str, Any]]] = field(default_factory=dict)


def read_suite(path: str | Path, settings: Sequence[str] = ()) -> Suite:
    """The suite in a file, with `--set` settings applied. Touches nothing but that file.

    Raises UserError for whatever is wrong with the file, its structure or the settings.
    """
    file = Path(path)
    text = read_text(file, Where(str(path)))
    return parse_suite(text, file.parent, Where(str(path)), settings)


def parse_suite(text: str, folder: Path, where: Where, settings: Sequence[str] = ()) -> Suite:
    """The suite written in `text`; `folder` is where its relative paths start."""
    return build_suite(parse_toml(text, where), folder, where, text, settings)


def build_suite(
    raw: dict[str, Any], folder: Path, where: Where, text: str, settings: Sequence[str] = ()
) -> Suite:
    """The suite of parsed TOML, which is changed in place; `text` is what it was parsed from."""
    raw = expand(raw, where)
    overrides = read_overrides(settings)
    apply_overrides(raw, overrides)
    read_table(where, raw, {"suite": as_is, "run": as_is, "executor": as_is}, required=("suite", "run"))
    folder = folder.absolute()
    head = where.key("suite")
    keys = read_table(head, table(head, raw["suite"]), _suite_keys(folder), required=("name", "seeds"))
    limits = {key: keys.get(key, getattr(Suite, key)) for key in ("time_limit", "fit_time_limit")}
    place = where.key("run")
    if not isinstance(raw["run"], list) or not raw["run"]:
        raise place.error("expected at least one [[run]] table")
    usual = {"seeds": keys["seeds"], **limits}
    runs = tuple(_run(place.item(i), i, entry, usual) for i, entry in enumerate(raw["run"]))
    asked = (override.text for override in overrides if override.path[0] != "executor")  # who, not what
    notes = "".join(f"# --set {text}\n" for text in asked)
    bare = {override.path[0]: override.value for override in overrides if override.bare}
    executors = _executors(where.key("executor"), raw.get("executor", {}))
    return Suite(
        where,
        folder,
        f"{text}\n{notes}" if notes else text,
        runs=runs,
        bare=bare,
        executors=executors,
        **keys,
    )


def read_entry(where: Where, raw: Any) -> Entry:
    """A name, or a table with a name and parameters."""
    if isinstance(raw, str):
        return Entry(where, raw, {})
    if not isinstance(raw, dict):
        raise where.error(f"expected a name or {{name = ..., parameters}}, found {show(raw)}")
    if "name" not in raw:
        raise where.error('the table has no name: write {name = "...", ...}')
    name = string(where.key("name"), raw["name"])
    return Entry(where, name, {key: value for key, value in raw.items() if key != "name"})


# -- the keys of [suite] and [[run]] ----------------------------------------------------------------------


def _suite_keys(folder: Path) -> dict[str, Reader]:
    return {
        "name": _name,
        "seeds": _seeds,
        "threads": whole(1, 1024),
        "dtype": one_of("float32", "float64"),
        "time_limit": seconds,
        "fit_time_limit": seconds,
        "memory_limit": size,
        "plugins": lambda where, raw: items(where, raw, _plugin(folder), "plugins"),
        "timing": boolean,
        "timing_budget": seconds,
        "description": string,
    }


def _name(where: Where, raw: Any) -> str:
    if not isinstance(raw, str) or not _NAME.fullmatch(raw):
        raise where.error(f"{show(raw)} cannot name a folder: use letters, digits, '-' and '_', at most 64")
    return raw


def _seeds(where: Where, raw: Any) -> tuple[int, ...]:
    seeds = items(where, raw, whole(0, _LARGEST_SEED), "seeds")
    for index, seed in enumerate(seeds):
        if seed in seeds[:index]:
            raise where.item(index).error(f"seed {seed} stands there twice")
    return seeds


def _plugin(folder: Path) -> Reader:
    """A Python file beside the suite, given back as its absolute path, or a module's name."""

    def read(where: Where, raw: Any) -> str:
        text = string(where, raw)
        if "\0" in text:
            raise where.error(f"{show(text)} is neither a file nor a module")
        try:
            return resolve_source(text, folder)
        except (UserError, OSError, RuntimeError) as error:  # "~nobody", a name that is too long
            raise where.error(str(error)) from None

    return read


def _executors(where: Where, raw: Any) -> dict[str, tuple[Where, Mapping[str, Any]]]:
    places = {name: where.key(name) for name in table(where, raw)}
    return {name: (place, table(place, raw[name])) for name, place in places.items()}


def _run(where: Where, index: int, raw: Any, usual: Mapping[str, Any]) -> RunEntry:
    """`usual`: seeds and limits of an entry that does not set its own."""
    fields = table(where, raw)
    for key in RUN_KEYS[:3]:
        if key not in fields:
            raise where.key(key).error("missing")
    own = {key: _seeds if key == "seeds" else seconds for key in usual if key in fields}
    parameters = {key: value for key, value in fields.items() if key not in RUN_KEYS}
    return RunEntry(
        where,
        index,
        protocol=Entry(where, string(where.key("protocol"), fields["protocol"]), parameters),
        data=read_entry(where.key("data"), fields["data"]),
        methods=items(where.key("methods"), fields["methods"], read_entry, "methods"),
        grid=_grid(where.key("grid"), fields.get("grid", {})),
        **(dict(usual) | {key: read(where.key(key), fields[key]) for key, read in own.items()}),
    )


def _grid(where: Where, raw: Any) -> dict[str, tuple[Any, ...]]:
    return {
        name: items(where.key(name), values, as_is, "values") for name, values in table(where, raw).items()
    }
