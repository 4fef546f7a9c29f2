"""Finds plugins and knows their names: cards to begin with, signatures and classes when somebody asks.

Read `registry.py` first (names to cards to classes), then `loading.py` (where plugins come from),
`signatures.py` (what a class may be asked for, read in a child process) and `sources.py` (what code a result
depends on).
"""

from mfbench.cards import KINDS, Card, Plugin, Registrar
from mfbench.registry.registry import Registry, load_registry

__all__ = ["KINDS", "Card", "Plugin", "Registrar", "Registry", "load_registry"]
