"""Choices as a reader sees them: a name, with the parameters that differ from their defaults."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Any

Defaults = Callable[[str, str], Mapping[str, Any]]
"""`(kind, name) -> {parameter: its default in canonical form}`; parameters without a default are left out."""


def choice_label(choice: Mapping[str, Any], defaults: Defaults) -> str:
    """`ddpm(variance=beta)`: the name, and the parameters that differ from their defaults or have none."""
    usual = defaults(choice["kind"], choice["name"])
    changed = [
        f"{name}={value_label(value, defaults)}"
        for name, value in sorted(choice["parameters"].items())
        if name not in usual or usual[name] != value
    ]
    return f"{choice['name']}({', '.join(changed)})" if changed else str(choice["name"])


def plain_label(choice: Mapping[str, Any]) -> str:
    """`swiss_roll(count=1000, noise=0.5)`: the name, and all parameters."""
    return choice_label(choice, lambda kind, name: {})


def value_label(value: Any, defaults: Defaults) -> str:
    """A parameter's value: references by their label, files by their name and hash, lists in brackets."""
    if isinstance(value, Mapping):
        if "sha256" in value:
            return f"{PurePath(value['file']).name}@{value['sha256'][:8]}"
        return choice_label(value, defaults)
    if isinstance(value, list):
        return f"[{', '.join(value_label(item, defaults) for item in value)}]"
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "none"}[value]
    return str(value)
