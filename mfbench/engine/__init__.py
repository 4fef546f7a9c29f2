"""Executes plans: scheduling, the supervised child, time and memory limits, progress, provenance.

    run_plan(plan, store, executor="local", workers=2) -> Summary       the coordinator (`run.py`)
    run_cell(payload) -> record                                         one task, JSON in and out

Imports torch only in the child, and for CUDA. What is listed here is imported when asked for: the child must
be small when it starts.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mfbench.engine.children import run_cell
    from mfbench.engine.executors import Order
    from mfbench.engine.listening import Listener, Summary, Totals
    from mfbench.engine.progress import make_listener
    from mfbench.engine.run import open_workforce, run_plan

_HOMES = {
    "Listener": "listening",
    "Order": "executors",
    "Summary": "listening",
    "Totals": "listening",
    "make_listener": "progress",
    "run_cell": "children",
    "open_workforce": "run",
    "run_plan": "run",
}

__all__ = [
    "Listener",
    "Order",
    "Summary",
    "Totals",
    "make_listener",
    "open_workforce",
    "run_cell",
    "run_plan",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"mfbench.engine.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'mfbench.engine' has no attribute {name!r}")
