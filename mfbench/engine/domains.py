"""Whose code a job runs: what a child must not have run when it is given a cell of anybody else's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from typing import Any

from mfbench.cards import Plugin
from mfbench.engine.records import choices_in
from mfbench.registry import load_registry
from mfbench.registry.loading import GROUP


class Domains:
    """Tells the domain of a job: the plugins, other than the bench's own, whose classes it names."""

    def __init__(self, plugins: Sequence[str]) -> None:
        own = _own_entry_points()
        self._foreign = {
            (card.kind, card.name): plugin.name if plugin.source == "entry point" else plugin.source
            for plugin in load_registry(plugins).plugins
            if not _is_own(plugin, own)
            for card in plugin.cards
        }

    def of(self, job: Mapping[str, Any]) -> list[str]:
        """Sorted names (of single files: paths); empty where all that is named comes with the bench."""
        named = {(choice["kind"], choice["name"]) for choice in choices_in(job)}
        return sorted({self._foreign[key] for key in named & self._foreign.keys()})


def _own_entry_points() -> set[str]:
    """Names of the entry points of the bench's own distribution, and of no other's."""
    points = entry_points(group=GROUP)
    others = {point.name for point in points if point.dist is None or point.dist.name != "mfbench"}
    return {point.name for point in points} - others


def _is_own(plugin: Plugin, own: set[str]) -> bool:
    return plugin.source == "built in" or (plugin.source == "entry point" and plugin.name in own)
