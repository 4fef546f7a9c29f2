"""Logs every run of mfbench to MLflow: the life-cycle hooks, and nothing heavier than them.

`mfbench list` imports this module too, so MLflow is imported when a run begins. MLflow's own settings say
where to (MLFLOW_TRACKING_URI and the like); MFBENCH_MLFLOW=off says not to.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import mfbench

if TYPE_CHECKING:
    from mfbench_mlflow.tracker import Tracker

_trackers: dict[str, Tracker] = {}
"""The runs that are under way, by their id."""


@mfbench.hookimpl
def mfbench_run_started(plan: Mapping[str, Any]) -> None:
    if os.environ.get("MFBENCH_MLFLOW", "").lower() == "off":
        return
    from mfbench_mlflow.tracker import Tracker

    _trackers[plan["run_id"]] = Tracker(plan)


@mfbench.hookimpl
def mfbench_cell_finished(record: Mapping[str, Any]) -> None:
    tracker = _trackers.get(record["run_id"])
    if tracker is not None:
        tracker.log_cell(record)


@mfbench.hookimpl
def mfbench_run_finished(summary: Mapping[str, Any]) -> None:
    tracker = _trackers.pop(summary["run_id"], None)
    if tracker is not None:
        tracker.finish(summary)
