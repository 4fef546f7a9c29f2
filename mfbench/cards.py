"""What a registration says: cards, the registrar that writes them, and the plugin they belong to.

Nothing here imports what a card names.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

KINDS = ("generator", "sampler", "likelihood", "disentangler", "defense", "dataset", "attack", "protocol")

LIFE_CYCLE = ("mfbench_run_started", "mfbench_cell_finished", "mfbench_run_finished")
"""The hooks that the coordinating process calls while a suite runs."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")
_TARGET = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


@dataclass(frozen=True)
class Card:
    """One registered name. `target` is "module:QualName"; `plugin` is who registered it."""

    kind: str
    name: str
    target: str
    summary: str
    reference: str = ""
    plugin: str = ""
    plugin_version: str = ""


@dataclass(frozen=True)
class Plugin:
    """A plugin and what it registered; a broken one has registered nothing, and says why in one line.

    `source` is how it was found: "built in", "entry point", a module's name or a file's absolute path.
    """

    name: str
    source: str
    version: str = ""
    cards: tuple[Card, ...] = ()
    hooks: tuple[str, ...] = ()
    error: str | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_json(fields: Mapping[str, Any]) -> Plugin:
        cards = tuple(Card(**card) for card in fields["cards"])
        return Plugin(**{**fields, "cards": cards, "hooks": tuple(fields["hooks"])})


class PluginError(Exception):
    """A plugin that cannot be used: the message is the one line that says why."""


def _register(kind: str) -> Callable[..., None]:
    def register(
        self: Registrar, name: str, target: type | str, *, summary: str, reference: str = ""
    ) -> None:
        self._add(kind, name, target, summary, reference)

    register.__name__ = register.__qualname__ = kind
    register.__doc__ = (
        f"Register a {kind}: `target` is its class, or the class's import path as 'module:Class'."
    )
    return register


@dataclass
class Registrar:
    """What `mfbench_register` is given: one function a kind, `(name, target, *, summary, reference="")`."""

    plugin: str
    version: str = ""
    cards: list[Card] = field(default_factory=list)

    generator = _register("generator")
    sampler = _register("sampler")
    likelihood = _register("likelihood")
    disentangler = _register("disentangler")
    defense = _register("defense")
    dataset = _register("dataset")
    attack = _register("attack")
    protocol = _register("protocol")

    def _add(self, kind: str, name: str, target: type | str, summary: str, reference: str) -> None:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise PluginError(
                f"{kind} {name!r}: a name is made of letters, digits and any of _ . + - after the first"
            )
        if any((card.kind, card.name) == (kind, name) for card in self.cards):
            raise PluginError(f"{kind} {name!r} is registered twice by this plugin")
        path = _target_path(kind, name, target)
        self.cards.append(
            Card(kind, name, path, _one_line(summary), _one_line(reference), self.plugin, self.version)
        )


def _target_path(kind: str, name: str, target: type | str) -> str:
    path = f"{target.__module__}:{target.__qualname__}" if isinstance(target, type) else target
    if not isinstance(path, str) or not _TARGET.fullmatch(path):
        raise PluginError(
            f"{kind} {name!r}: target {path!r} is neither a class at the top of a module nor 'module:Class'"
        )
    return path


def _one_line(text: str) -> str:
    return " ".join(str(text).split())
