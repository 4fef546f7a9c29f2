"""What an attack is called: its registered name, and the parameters that differ from their defaults."""

from __future__ import annotations

from dataclasses import MISSING, fields, is_dataclass
from typing import Any

from mfbench import Attack


def label_of(attack: Attack) -> str:
    """As boards call methods: "bpda(trajectory=4)"; of another plugin's attack the class."""
    name = getattr(attack, "who", type(attack).__name__)
    differing = [f"{key}={_shown(value)}" for key, value in _differing(attack)]
    return f"{name}({', '.join(differing)})" if differing else str(name)


def _differing(attack: Attack) -> list[tuple[str, Any]]:
    if not is_dataclass(attack):
        return []
    now = [(field, getattr(attack, field.name)) for field in fields(attack) if field.init]
    return [(f.name, value) for f, value in now if f.default is MISSING or _plain(value) != _plain(f.default)]


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, list | tuple) else value


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return "[" + ", ".join(map(_shown, value)) + "]" if isinstance(value, list | tuple) else str(value)
