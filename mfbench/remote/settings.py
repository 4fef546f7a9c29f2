"""What a suite says to this executor: the table [executor.dask]."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mfbench.plan import Plan
from mfbench.suite.fields import read_table, seconds, string, table, whole
from mfbench.wording import Where

NAME = "dask"

LOCAL = "local"
"""The cluster that is started on this machine."""

_WAIT_S, _QUEUED_S = 60.0, 86_400.0


@dataclass(frozen=True)
class Settings:
    """Where the workers are, and how patient a run is with them.

    address: of a running scheduler. cluster: "local", or a class of dask-jobqueue, called with `options`.
    retries: how often a task is begun again after its worker died. wait: seconds for the first worker to
    come, and for another where the last one went.
    """

    where: Where
    address: str = ""
    cluster: str = LOCAL
    options: Mapping[str, Any] = field(default_factory=dict)
    retries: int = 2
    wait: float = _WAIT_S


def read_settings(plan: Plan) -> Settings:
    """The settings of a plan's suite, checked; UserError for what is wrong."""
    where, raw = plan.executors.get(NAME, (Where(plan.suite).key("executor").key(NAME), {}))
    readers = {
        "address": string,
        "cluster": string,
        "options": table,
        "retries": whole(0, 100),
        "wait": seconds,
    }
    keys = read_table(where, raw, readers)
    if "address" in keys and "cluster" in keys:
        raise where.error("'address' and 'cluster' exclude each other: name a scheduler, or what starts one")
    if "options" in keys and keys.get("cluster", LOCAL) == LOCAL:
        raise where.key("options").error("they are for a class of dask-jobqueue: name it in 'cluster'")
    queued = keys.get("cluster", LOCAL) != LOCAL
    return Settings(where, **{"wait": _QUEUED_S if queued else _WAIT_S, **keys})
