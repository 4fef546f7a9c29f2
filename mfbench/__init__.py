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
    from mfbench.pools import AdversarialPool
    from mfbench.schedules import LinearSchedule
    from mfbench.threats import breaches, patch_masks

_INTERFACE = ("get", "names", "results", "run")
"""The Python interface: it stands on top of the house, so it is only fetched when somebody asks for it."""

_GROUND = {
    "AdversarialPool": "mfbench.pools",
    "LinearSchedule": "mfbench.schedules",
    "breaches": "mfbench.threats",
    "patch_masks": "mfbench.threats",
}
"""What plugins share with the bench and needs torch: fetched when somebody asks for it, too. Known to
`mfbench.registry.sources`, for the identity of what uses it."""

__all__ = [
    *_contracts,
    "AdversarialPool",
    "ContractError",
    "LinearSchedule",
    "Unsupported",
    "UserError",
    "__version__",
    "breaches",
    "hookimpl",
    "patch_masks",
    *_INTERFACE,
]


def __getattr__(name: str) -> Any:
    if name in _INTERFACE:
        return getattr(import_module("mfbench.interface"), name)
    if name in _GROUND:
        return getattr(import_module(_GROUND[name]), name)
    raise AttributeError(f"module 'mfbench' has no attribute {name!r}")
