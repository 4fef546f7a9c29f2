"""The registry: every name that a plugin registered, and the class behind it when somebody asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import pluggy

from mfbench import hookspecs
from mfbench.cards import KINDS, Card, Plugin, PluginError, Registrar
from mfbench.errors import UserError
from mfbench.registry import loading
from mfbench.spelling import did_you_mean


class Registry:
    """The plugins that were found, sound and broken, and the cards of the sound ones.

    sources: the `--plugin` and suite plugins, as absolute paths or module names: what a child process is
        sent, so that the same names mean the same classes there.
    """

    def __init__(self, sources: Sequence[str] = ()) -> None:
        self.sources = tuple(sources)
        self.plugins: list[Plugin] = []
        self._cards: dict[tuple[str, str], Card] = {}
        self._found: list[tuple[Plugin, object]] = []

    def add(self, plugin: Plugin, found: object = None) -> None:
        """Take in a plugin whole, or not at all where one of its names is taken: then it is broken."""
        for card in plugin.cards:
            holder = self._cards.get((card.kind, card.name))
            if holder is not None:
                reason = f"{card.kind} {card.name!r} is already registered by plugin {holder.plugin}"
                plugin = replace(plugin, cards=(), hooks=(), error=reason)
                break
        self.plugins.append(plugin)
        self._cards.update({(card.kind, card.name): card for card in plugin.cards})
        self._found.append((plugin, found))

    @property
    def broken(self) -> list[Plugin]:
        """The plugins that could not be used."""
        return [plugin for plugin in self.plugins if plugin.error is not None]

    def has_module(self, name: str) -> bool:
        """Whether a module is here as a plugin: to name an installed one with `--plugin` is no conflict."""
        return any(getattr(found, "__name__", None) == name for _, found in self._found)

    def require_sources(self) -> None:
        """UserError where a plugin that was asked for by `--plugin` or by a suite is broken."""
        for plugin in self.broken:
            if plugin.source in self.sources:
                raise UserError(f"plugin {plugin.source}: {plugin.error}")

    @cached_property
    def hook(self) -> Any:
        """The life-cycle hooks of all plugins: `registry.hook.mfbench_run_started(plan=...)`.

        A module or file named by `--plugin` or a suite that has some is imported now: that it can be was seen
        in the child that read it.
        """
        manager = pluggy.PluginManager(loading.GROUP)
        manager.add_hookspecs(hookspecs)
        for plugin, found in self._found:
            if not plugin.hooks:
                continue
            if found is None:
                sound, found = loading.load_source(plugin.source, plugin.version)
                if sound.error:
                    raise UserError(f"plugin {plugin.source}: {sound.error}")
            manager.register(found, plugin.source if plugin.source in self.sources else plugin.name)
        return manager.hook

    def names(self, kind: str) -> list[str]:
        """The names of a kind, sorted."""
        _check_kind(kind)
        return sorted(name for each, name in self._cards if each == kind)

    def cards(self, kind: str | None = None) -> list[Card]:
        """The cards of a kind (or of all), by kind and name."""
        kinds = KINDS if kind is None else (kind,)
        return [self._cards[each, name] for each in kinds for name in self.names(each)]

    def card(self, kind: str, name: str) -> Card:
        """What was registered under a name; UserError with the nearest names where nothing was."""
        _check_kind(kind)
        card = self._cards.get((kind, name))
        if card is None:
            elsewhere = [each for each, other in self._cards if other == name]
            raise UserError(f"there is no {kind} {name!r}{self._hint(kind, name, elsewhere)}")
        return card

    def _hint(self, kind: str, name: str, elsewhere: Sequence[str]) -> str:
        if elsewhere:
            return f"; {name!r} is a {' and a '.join(sorted(elsewhere))}"
        return did_you_mean(name, self.names(kind))

    def load(self, card: Card) -> type:
        """Import the class behind a card. What its module raises goes through."""
        from mfbench.registry.inspection import import_target

        try:
            return import_target(card.target)
        except PluginError as error:
            raise UserError(f"{card.kind} {card.name!r} of plugin {card.plugin}: {error}") from None

    def create(self, kind: str, name: str, **parameters: Any) -> Any:
        """An instance. References given as names (or as `{"name": ..., ...}`) become unfitted instances."""
        from mfbench.registry.creation import create

        return create(self, kind, name, parameters)


def load_registry(sources: Sequence[str] = ()) -> Registry:
    """The bench's own plugin, every installed one, and those named (files, or modules; each once)."""
    resolved = tuple(dict.fromkeys(loading.resolve_source(source) for source in sources))
    registry = Registry(resolved)
    registry.add(*loading.built_in())
    for loaded in loading.from_entry_points():
        registry.add(*loaded)
    for source in resolved:
        if not registry.has_module(source):
            registry.add(*loading.from_source(source))
    return registry


def _check_kind(kind: str) -> None:
    if kind not in KINDS:
        raise UserError(f"there is no kind {kind!r}{did_you_mean(kind, KINDS)}")


__all__ = ["KINDS", "Card", "Plugin", "Registrar", "Registry", "load_registry"]
