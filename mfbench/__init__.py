"""mfbench: the bench on which methods for image manifolds are compared.

All that a plugin author imports: `hookimpl` and the contracts. Importing it imports no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mfbench.contracts import *  # noqa: F403
from mfbench.contracts import __all__ as _contracts
from mfbench.errors import ContractError, Unsupported, UserError
from mfbench.hookspecs import hookimpl
from mfbench.version import __version__

if TYPE_CHECKING:
    from mfbench.interface import get, names, results, run  # noqa: F401 - exported through _INTERFACE
    from mfbench.schedules import LinearSchedule

_INTERFACE = ("get", "names", "results", "run")
"""The Python interface: it stands on top of the house, so it is only fetched when somebody asks for it."""

__all__ = [
    *_contracts,
    "ContractError",
    "LinearSchedule",
    "Unsupported",
    "UserError",
    "__version__",
    "hookimpl",
    *_INTERFACE,
]


def __getattr__(name: str) -> Any:
    if name in _INTERFACE:
        return getattr(import_module("mfbench.interface"), name)
    if name == "LinearSchedule":  # lazily too: it needs torch
        return import_module("mfbench.schedules").LinearSchedule
    raise AttributeError(f"module 'mfbench' has no attribute {name!r}")
