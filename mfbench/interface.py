"""The Python interface: `mfbench.names`, `get`, `run` and `results`."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from mfbench.registry import Registry, load_registry

if TYPE_CHECKING:
    pass


@lru_cache(maxsize=1)
def _installed() -> Registry:
    """The registry of installed plugins, read once a process."""
    return load_registry()


def names(kind: str) -> list[str]:
    """The registered names of a kind, sorted.

    Kinds: "generator", "sampler", "likelihood", "disentangler", "defense", "dataset", "attack", "protocol".
    """
    return _installed().names(kind)


def get(kind: str, name: str, **parameters: Any) -> Any:
    """An instance of what is registered as (kind, name); keyword arguments are its hyper-parameters.

    References may be given as names, as tables `{"name": ..., ...}` or as instances. A data set also takes
    `seed`. UserError says what is wrong with a name or a value.
    """
    return _installed().create(kind, name, **parameters)
