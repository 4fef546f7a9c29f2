"""Checks a plugin: every name it registers, on the first small data set that the name works on."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import entry_points

from mfbench.cards import Card, Plugin
from mfbench.contracts import Dataset
from mfbench.errors import Unsupported
from mfbench.registry import Registry, load_registry
from mfbench.registry.loading import GROUP, resolve_source
from mfbench.registry.signatures import read_signatures
from mfbench.testing.attacks import AttackChecks
from mfbench.testing.data import TinyImages
from mfbench.testing.datasets import DatasetChecks
from mfbench.testing.defenses import DefenseChecks
from mfbench.testing.disentanglers import DisentanglerChecks
from mfbench.testing.findings import Finding, find
from mfbench.testing.generators import GeneratorChecks
from mfbench.testing.likelihoods import LikelihoodChecks
from mfbench.testing.methods import MethodChecks
from mfbench.testing.protocols import ProtocolChecks
from mfbench.testing.samplers import SamplerChecks
from mfbench.testing.settings import settings_kept
from mfbench.testing.workshop import Workshop, small_data, small_manifolds

Checks = MethodChecks | DatasetChecks | ProtocolChecks

CHECKS: dict[str, type[MethodChecks] | type[DatasetChecks] | type[ProtocolChecks]] = {
    "generator": GeneratorChecks,
    "sampler": SamplerChecks,
    "likelihood": LikelihoodChecks,
    "disentangler": DisentanglerChecks,
    "defense": DefenseChecks,
    "attack": AttackChecks,
    "dataset": DatasetChecks,
    "protocol": ProtocolChecks,
}

_ON_IMAGES = ("disentangler", "defense", "attack")
"""Kinds that need labels, attributes or pixels, which points have not."""


def check_plugin(source: str) -> list[Finding]:
    """Every check of every name that a plugin registers.

    source: a file, a module, or the name of an installed plugin ("mfbench" for the bench's own). A
    plugin that cannot be loaded gives one finding that says why; UserError where there is no such file.
    """
    with settings_kept():  # as the bench does after an import
        registry, plugin = _found(source)
    if plugin.error is not None:
        return [Finding("plugin", plugin.name, "loads", False, plugin.error)]
    if not plugin.cards and not plugin.hooks:
        return [
            Finding("plugin", plugin.name, "registers", False, "it registers nothing and has no other hook")
        ]
    loads = Finding("plugin", plugin.name, "loads", True, f"{len(plugin.cards)} names")
    return [loads, *check_registered(registry, plugin.cards)]


def check_registered(registry: Registry, cards: Sequence[Card]) -> list[Finding]:
    """Every check of these registered names."""
    failures: dict[tuple[str, str], str] = {}
    read_signatures(registry, [(card.kind, card.name) for card in cards], failures)
    findings = []
    for card in cards:
        reason = failures.get((card.kind, card.name))
        findings.append(Finding(card.kind, card.name, "signature", reason is None, reason or ""))
        if reason is None:
            findings += _on_first_that_works(registry, card)
    return findings


def _found(source: str) -> tuple[Registry, Plugin]:
    """The plugin of that name, of that module, or in that file, in a registry that holds it."""
    names = {point.value.partition(":")[0]: point.name for point in entry_points(group=GROUP)}
    registry = load_registry()
    for plugin in registry.plugins:
        if plugin.name in (source, names.get(source)) and plugin.source in ("built in", "entry point"):
            return registry, plugin
    resolved = resolve_source(source)
    registry = load_registry([resolved])
    return registry, next(plugin for plugin in registry.plugins if plugin.source == resolved)


def _on_first_that_works(registry: Registry, card: Card) -> list[Finding]:
    """All findings on the first data set that the method does not call Unsupported."""
    reasons = []
    for data in _candidates(registry, card.kind):
        checks = CHECKS[card.kind](Workshop(registry, data), card.name)
        try:
            return _findings(checks, card)
        except Unsupported as reason:
            reasons.append(f"{data.name} {data.shape}: {reason}")
    return [Finding(card.kind, card.name, "works on small data", False, "Unsupported: " + "; ".join(reasons))]


def _candidates(registry: Registry, kind: str) -> Sequence[Dataset]:
    images = [TinyImages(channels=1, size=16), TinyImages(channels=3, size=64)]
    if kind in _ON_IMAGES:
        return images
    points = small_data(registry)
    if kind == "protocol":  # the mixture knows its noise predictor, which spares training a network
        points.reverse()
    return [*points, *small_manifolds(registry), *images]


def _findings(checks: Checks, card: Card) -> list[Finding]:
    """The first check says whether the others can be made, the last one what any of them changed globally."""
    findings: list[Finding] = []
    changes: dict[str, str] = {}
    for check in checks.checks():
        with settings_kept() as changed:
            findings.append(find(card.kind, card.name, check))
        changes = {name: f"{how} (in {findings[-1].check!r})" for name, how in changed.items()} | changes
        if len(findings) == 1 and (not findings[0].ok or findings[0].skipped):
            break
    if changes:
        said = ", ".join(f"{name} {how}" for name, how in changes.items())
        return [*findings, _settings(card, False, f"it changes for the whole process the {said}")]
    return [*findings, _settings(card, True)] if len(findings) > 1 else findings


def _settings(card: Card, kept: bool, message: str = "") -> Finding:
    return Finding(card.kind, card.name, "global settings", kept, message)
