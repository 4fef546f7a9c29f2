"""Logs every run of mfbench to MLflow: the life-cycle hooks, and nothing heavier than them.

`mfbench list` imports this module too, so MLflow is imported when a run begins. MLflow's own settings say
where to (MLFLOW_TRACKING_URI and the like); MFBENCH_MLFLOW=off says not to.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import mfbench
from mfbench_mlflow.sending import Sender
from mfbench_mlflow.wording import entry

_senders: dict[str, Sender] = {}
"""Of the runs that are under way, by their id."""


@mfbench.hookimpl
def mfbench_run_started(plan: Mapping[str, Any]) -> None:
    if os.environ.get("MFBENCH_MLFLOW", "").lower() != "off":
        _senders[plan["run_id"]] = Sender(plan)


@mfbench.hookimpl
def mfbench_cell_finished(record: Mapping[str, Any]) -> None:
    sender = _senders.get(record["run_id"])
    if sender is not None:
        sender.cell(entry(record))


@mfbench.hookimpl
def mfbench_run_finished(summary: Mapping[str, Any]) -> None:
    sender = _senders.pop(summary["run_id"], None)
    if sender is not None:
        sender.finish(summary)
