"""One run of mfbench in MLflow, through its client: MLflow's global "active run" is left to others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

from mfbench_mlflow import wording

_PARENT = "mlflow.parentRunId"
_BATCH = 100
"""Parameters and tags that MLflow takes in one call; of metrics it takes a thousand."""


class Tracker:
    """The MLflow run of a run of mfbench; cells are runs below it.

    `plan` is what the hook `mfbench_run_started` is given.
    """

    def __init__(self, plan: Mapping[str, Any]) -> None:
        self.client = MlflowClient()
        self.experiment = self._experiment(f"mfbench/{plan['suite']}")
        tags = {"mfbench.run_id": plan["run_id"], "mfbench.suite": plan["suite"]}
        name = f"{plan['suite']} {plan['run_id'][:8]}"
        self.run = self.client.create_run(self.experiment, run_name=name, tags=tags).info.run_id
        for count in ("cells", "fits", "cached"):
            self.client.log_param(self.run, count, plan[count])

    def log_cell(self, record: Mapping[str, Any]) -> None:
        """A run of its own below this one, as long as the cell was computed."""
        ended = wording.milliseconds(record["ended"])
        run = self.client.create_run(
            self.experiment,
            start_time=wording.milliseconds(record["started"]),
            run_name=wording.name_of(record),
            tags={_PARENT: self.run},
        ).info.run_id
        self._log(run, record, ended)
        status = "FINISHED" if record["status"] == "ok" else "FAILED"
        self.client.set_terminated(run, status, end_time=ended)

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Cells by status; "KILLED" where the run was interrupted."""
        counts = {f"cells.{status}": count for status, count in summary["statuses"].items()}
        for name, value in {**counts, "wall_s": summary["wall_s"]}.items():
            self.client.log_metric(self.run, name, value)
        self.client.set_terminated(self.run, "KILLED" if summary["interrupted"] else "FINISHED")

    def _experiment(self, name: str) -> str:
        found = self.client.get_experiment_by_name(name)
        return found.experiment_id if found else self.client.create_experiment(name)

    def _log(self, run: str, record: Mapping[str, Any], timestamp: int) -> None:
        params = [Param(name, text) for name, text in wording.parameters(record).items()]
        tags = [RunTag(name, text) for name, text in wording.tags(record).items()]
        metrics = [Metric(name, value, timestamp, 0) for name, value in wording.metrics(record).items()]
        for start in range(0, max(len(params), len(tags)), _BATCH):
            some = slice(start, start + _BATCH)
            self.client.log_batch(run, params=params[some], tags=tags[some])
        for start in range(0, len(metrics), 10 * _BATCH):
            self.client.log_batch(run, metrics=metrics[start : start + 10 * _BATCH])
