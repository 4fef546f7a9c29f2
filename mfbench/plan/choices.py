"""Turns what a suite names into choices: `{"kind", "name", "parameters"}` with every default filled in.

References are choices inside choices; files are `{"file": path, "sha256": hex}`. Two choices are the same
when their `choice_key` is: a file counts by its content, not by where it lies.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfbench.errors import UserError
from mfbench.identity import canonical, sha256_of
from mfbench.plan.catalog import Catalog
from mfbench.plan.labels import choice_label
from mfbench.plan.values import check_file, check_value
from mfbench.spelling import did_you_mean
from mfbench.suite import Entry, read_entry
from mfbench.wording import Where, show

if TYPE_CHECKING:
    from mfbench.registry.schema import Parameter, Signature

Placed = tuple[Where, Any]
"""A raw value and where it was written."""


@dataclass(frozen=True, eq=False)
class Choice:
    """A resolved choice: `json` travels, `text` is its canonical identity and `key` that text's SHA-256."""

    json: Mapping[str, Any]
    text: str
    key: str
    label: str
    references: tuple[Choice, ...]
    signature: Signature

    @property
    def name(self) -> str:
        """The registered name."""
        return self.signature.name

    @property
    def unreadable(self) -> str:
        """Why the target, or one it refers to, cannot be read; empty where all can."""
        return next((one.signature.unreadable for one in self.everything() if one.signature.unreadable), "")

    def everything(self) -> Iterator[Choice]:
        """All references, those of references included, deepest first; then the choice itself."""
        for reference in self.references:
            yield from reference.everything()
        yield self


def choice_identity(choice: Any) -> Any:
    """A choice's JSON without the paths of its files."""
    if isinstance(choice, Mapping):
        path = "file" if choice.keys() == {"file", "sha256"} else None
        return {key: choice_identity(value) for key, value in choice.items() if key != path}
    return [choice_identity(item) for item in choice] if isinstance(choice, list) else choice


def choice_key(choice: Mapping[str, Any]) -> str:
    """What `needs` of fits and cells is keyed by: SHA-256 of the choice's identity."""
    return sha256_of(choice_identity(choice))


def choice_arguments(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters as `Registry.create` takes them: files as paths, references as `{"name": ...}`."""
    return {name: _argument(value) for name, value in parameters.items()}


def _argument(value: Any) -> Any:
    if isinstance(value, list):
        return [_argument(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    return (
        value["file"]
        if "sha256" in value
        else {"name": value["name"], **choice_arguments(value["parameters"])}
    )


class Resolver:
    """Makes choices of entries. `folder` is where files are looked for.

    `bare` holds parameters that are set for whoever has them, over what the suite says; `used` says which of
    them anybody had. `places` says where a choice, by its key, was first written.
    """

    def __init__(self, catalog: Catalog, folder: Path, bare: Mapping[str, Any] | None = None) -> None:
        self.catalog = catalog
        self.folder = folder
        self.bare = dict(bare or {})
        self.used: set[str] = set()
        self.places: dict[str, Where] = {}
        self._made: dict[tuple[str, str, str], Choice] = {}
        self._making: list[tuple[str, str, str]] = []
        self._files: dict[str, dict[str, str]] = {}
        self._defaults: dict[tuple[str, str], dict[str, Any]] = {}

    def resolve(
        self,
        kind: str,
        entry: Entry,
        placed: Mapping[str, Placed] | None = None,
        also_known: Iterable[str] = (),
    ) -> Choice:
        """The choice that an entry names, with `placed` parameters (a grid's) added to its own.

        `also_known` are further keys that may stand beside the parameters: messages suggest them, too.
        """
        given = {name: (entry.where.key(name), raw) for name, raw in entry.parameters.items()}
        given |= placed or {}
        key = (kind, entry.name, canonical({name: raw for name, (_, raw) in given.items()}))
        if key in self._making:
            circle = [name for _, name, _ in self._making[self._making.index(key) :]]
            raise entry.where.error(f"references in a circle: {' -> '.join([*circle, entry.name])}")
        if key not in self._made:
            self._making.append(key)
            try:
                made = self._make(kind, entry, given, also_known)
                self.places.setdefault(made.key, entry.where)
                self._made[key] = made
            finally:
                self._making.pop()
        return self._made[key]

    def parameter_names(self, kind: str, entry: Entry) -> list[str]:
        """The parameters that an entry's target has."""
        return [p.name for p in self.catalog.signature(kind, entry.name, entry.where).parameters]

    def foresee(self, wanted: Iterable[tuple[str, Any]]) -> None:
        """Read at once the signatures of raw entries `(kind, name or table)` and of all they refer to."""
        seen: set[tuple[str, str]] = set()
        wave = list(wanted)
        while wave:
            self.catalog.read({(kind, _name_of(raw)) for kind, raw in wave})
            wave = [reference for kind, raw in wave for reference in self._references(kind, raw, seen)]

    def _references(self, kind: str, raw: Any, seen: set[tuple[str, str]]) -> Iterator[tuple[str, Any]]:
        key = kind, _name_of(raw)
        signature = self.catalog.known(*key)
        if signature is None or (key in seen and not isinstance(raw, dict)):
            return
        seen.add(key)
        given = raw if isinstance(raw, dict) else {}
        for parameter in signature.parameters:
            if parameter.type == "ref":
                value = self.bare.get(parameter.name, given.get(parameter.name, parameter.default))
                for item in value if isinstance(value, list) else [value]:
                    yield parameter.kind, item

    def _make(
        self, kind: str, entry: Entry, given: Mapping[str, Placed], also_known: Iterable[str]
    ) -> Choice:
        signature = self.catalog.signature(kind, entry.name, entry.where)
        names = [parameter.name for parameter in signature.parameters]
        for name, (where, _) in given.items():
            if name not in names and not signature.unreadable:
                hint = did_you_mean(name, [*names, *also_known])
                raise where.error(f"{kind} {show(entry.name)} has no such parameter{hint}")
        references: list[Choice] = []
        parameters = {
            parameter.name: self._value(parameter, entry, given, references)
            for parameter in signature.parameters
        }
        if signature.unreadable:  # nothing can be checked: the parameters only tell the choices apart
            parameters = {name: canonical(raw) for name, (_, raw) in given.items()}
        if kind == "dataset" and any(other.signature.kind != kind for other in references):
            raise entry.where.error("a data set can refer to data sets only: methods are fitted on it")
        made = {"kind": kind, "name": entry.name, "parameters": parameters}
        text = canonical(choice_identity(made))
        label = choice_label(made, self.defaults)
        return Choice(
            made, text, hashlib.sha256(text.encode()).hexdigest(), label, tuple(references), signature
        )

    def _value(
        self, parameter: Parameter, entry: Entry, given: Mapping[str, Placed], references: list[Choice]
    ) -> Any:
        name = parameter.name
        where = entry.where.key(name)
        if name in self.bare:
            self.used.add(name)
            return self._check(parameter, self.bare[name], where, references)
        if name in given:
            return self._check(parameter, given[name][1], given[name][0], references)
        if parameter.required:
            raise where.error(f"missing: {entry.name} needs {parameter.describe()}")
        return self._check(parameter, parameter.default, where, references)

    def _check(self, parameter: Parameter, raw: Any, where: Where, references: list[Choice]) -> Any:
        def special(place: Where, item: Any) -> Any:
            return self._file(place, item) if parameter.type == "file" else refer(place, item)

        def refer(place: Where, item: Any) -> Mapping[str, Any]:
            choice = self.resolve(parameter.kind, read_entry(place, item))
            if parameter.many and any(choice.key == other.key for other in mine):
                raise place.error(f"{choice.label} stands there twice")
            mine.append(choice)
            return choice.json

        mine: list[Choice] = []
        value = check_value(parameter, raw, where, special)
        references += mine
        return value

    def _file(self, where: Where, raw: Any) -> dict[str, str]:
        if not isinstance(raw, str) or raw not in self._files:
            found = check_file(self.folder, where, raw)
            self._files[raw] = found
        return self._files[raw]

    def defaults(self, kind: str, name: str) -> dict[str, Any]:
        """The defaults of a target's parameters in canonical form, whatever `bare` says.

        A default that cannot be had here (a reference to what is not installed) is left out.
        """
        if (kind, name) not in self._defaults:
            signature = self.catalog.signature(kind, name, Where(f"{kind} {name}"))
            plain = Resolver(self.catalog, self.folder) if self.bare else self
            usual: dict[str, Any] = {}
            for parameter in signature.parameters:
                with suppress(UserError):
                    usual |= plain._default(parameter)
            self._defaults[kind, name] = usual
        return self._defaults[kind, name]

    def _default(self, parameter: Parameter) -> dict[str, Any]:
        if parameter.required:
            return {}
        return {parameter.name: self._check(parameter, parameter.default, Where("default"), [])}


def _name_of(raw: Any) -> str:
    """The name in a raw entry; "" where there is none to be found."""
    name = raw.get("name") if isinstance(raw, dict) else raw
    return name if isinstance(name, str) else ""
