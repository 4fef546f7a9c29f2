"""One run of mfbench in MLflow, through its client: MLflow's global "active run" is left to others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

from mfbench_mlflow.wording import Entry

_PARENT = "mlflow.parentRunId"
_BATCH = 100
"""Parameters and tags that MLflow takes in one call; of metrics it takes a thousand."""


class Tracker:
    """The MLflow run of a run of mfbench; cells are runs below it.

    `plan` is what the hook `mfbench_run_started` is given; `answered` is called after each call that MLflow
    answered.
    """

    def __init__(self, plan: Mapping[str, Any], answered: Callable[[], None]) -> None:
        self.client: Any = _Heard(MlflowClient(), answered)
        self.experiment = self._experiment(f"mfbench/{plan['suite']}")
        tags = {"mfbench.run_id": plan["run_id"], "mfbench.suite": plan["suite"]}
        name = f"{plan['suite']} {plan['run_id'][:8]}"
        self.run = self.client.create_run(self.experiment, run_name=name, tags=tags).info.run_id
        for count in ("cells", "fits", "cached"):
            self.client.log_param(self.run, count, plan[count])

    def log_cell(self, entry: Entry) -> None:
        """A run of its own below this one, as long as the cell was computed."""
        run = self.client.create_run(
            self.experiment, start_time=entry.started, run_name=entry.name, tags={_PARENT: self.run}
        ).info.run_id
        self._log(run, entry)
        self.client.set_terminated(run, "FINISHED" if entry.ok else "FAILED", end_time=entry.ended)

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Cells by status; "KILLED" where the run was interrupted."""
        counts = {f"cells.{status}": count for status, count in summary["statuses"].items()}
        for name, value in {**counts, "wall_s": summary["wall_s"]}.items():
            self.client.log_metric(self.run, name, value)
        self.client.set_terminated(self.run, "KILLED" if summary["interrupted"] else "FINISHED")

    def _experiment(self, name: str) -> str:
        found = self.client.get_experiment_by_name(name)
        return str(found.experiment_id if found else self.client.create_experiment(name))

    def _log(self, run: str, entry: Entry) -> None:
        params = [Param(name, text) for name, text in entry.parameters.items()]
        tags = [RunTag(name, text) for name, text in entry.tags.items()]
        metrics = [Metric(name, value, entry.ended, 0) for name, value in entry.metrics.items()]
        for start in range(0, max(len(params), len(tags)), _BATCH):
            some = slice(start, start + _BATCH)
            self.client.log_batch(run, params=params[some], tags=tags[some])
        for start in range(0, len(metrics), 10 * _BATCH):
            self.client.log_batch(run, metrics=metrics[start : start + 10 * _BATCH])


class _Heard:
    """A client that tells of every answer."""

    def __init__(self, client: MlflowClient, answered: Callable[[], None]) -> None:
        self._client, self._answered = client, answered

    def __getattr__(self, name: str) -> Callable[..., Any]:
        call = getattr(self._client, name)

        def heard(*arguments: Any, **more: Any) -> Any:
            answer = call(*arguments, **more)
            self._answered()
            return answer

        return heard
