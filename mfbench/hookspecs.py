"""The hooks: the whole surface between the bench and a plugin, in the order in which they are called.

A plugin is a module (or a single file) with functions of these names, marked `@mfbench.hookimpl`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from mfbench.cards import Registrar

hookspec = pluggy.HookspecMarker("mfbench")
hookimpl = pluggy.HookimplMarker("mfbench")

# -- registration: once, when the plugin is found ---------------------------------------------------------


@hookspec
def mfbench_register(registry: Registrar) -> None:
    """Register methods, data sets, attacks and protocols.

    Called once in each process that needs the plugin's names. Name targets by import path and keep this
    module light, so that `mfbench list` stays fast; in a single-file plugin give the class itself::

        import mfbench

        @mfbench.hookimpl
        def mfbench_register(registry):
            registry.sampler("rk4", "my_package.samplers:RungeKutta4",
                             summary="classical RK4 on the probability-flow ODE", reference="Tu et al. 2023")
    """


# -- life cycle of `mfbench run`: in the coordinating process, for loggers and trackers ----------------------


@hookspec
def mfbench_run_started(plan: Mapping[str, Any]) -> None:
    """A run begins: called once, after planning and before the first fit.

    `plan` says `run_id`, `suite`, and how many `cells`, `fits` and `cached` cells there are::

        @mfbench.hookimpl
        def mfbench_run_started(plan):
            print(f"{plan['suite']}: {plan['cells']} cells, {plan['cached']} cached")
    """


@hookspec
def mfbench_cell_finished(record: Mapping[str, Any]) -> None:
    """A cell's result is stored: called once a computed cell, in order of arrival (not for cached ones).

    `record` is the stored record: `cell_id`, `protocol`, `method`, `data`, `seed`, `status`, `values`, ...::

        @mfbench.hookimpl
        def mfbench_cell_finished(record):
            for value in record["values"]:
                print(record["method"]["name"], value["metric"], value["part"], value["value"])
    """


@hookspec
def mfbench_run_finished(summary: Mapping[str, Any]) -> None:
    """A run ends, interrupted ones included: called once, last.

    `summary` says `run_id`, `suite`, `statuses` (cells by status), `wall_s` and `interrupted`::

        @mfbench.hookimpl
        def mfbench_run_finished(summary):
            print(summary["statuses"])
    """
