"""A run of mfbench in MLflow's own local store. Skipped, with the reason, where mlflow is not installed."""

from __future__ import annotations

import math
import os
import threading
import time
import warnings
from pathlib import Path

import pytest

from mfbench.registry import load_registry

SOURCE = Path(__file__).parents[1] / "src"

PLUGIN = '''
import mfbench

class Broken(mfbench.Likelihood):
    """Fails."""

    def log_prob(self, x, *, rng=None):
        raise ValueError("it is broken")

@mfbench.hookimpl
def mfbench_register(registry):
    registry.likelihood("broken", Broken, summary="fails")
'''

SUITE = """
[suite]
name = "tracked"
seeds = [0]
timing = false
plugins = ["broken.py"]

[[run]]
protocol = "ood_auroc"
data = { name = "moons", count = 200, test_count = 100 }
against = [{ name = "circles", test_count = 100 }]
methods = ["gaussian", "broken"]
"""


CLOSED = "http://127.0.0.1:9"
"""Nobody listens there."""


def mlflow_or_skip():
    """MLflow 3 or later."""
    reason = "mlflow is not installed, or does not fit the other packages (pip install 'mlflow>=3')"
    return pytest.importorskip("mlflow", reason=reason, exc_type=ImportError)


@pytest.fixture
def package(monkeypatch):
    """The example on the path, as `pip install -e` would have it: of the workers, too."""
    monkeypatch.syspath_prepend(str(SOURCE))
    monkeypatch.setenv("PYTHONPATH", str(SOURCE), prepend=os.pathsep)
    import mfbench_mlflow

    return mfbench_mlflow


@pytest.fixture
def client(tmp_path, monkeypatch):
    """A store of MLflow in the test's folder."""
    mlflow = mlflow_or_skip()
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setenv("MFBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return mlflow.MlflowClient(uri)


def record(**more):
    """What the hook is given of a cell that ended well."""

    def choice(kind, name, **parameters):
        return {"kind": kind, "name": name, "parameters": parameters}

    against = choice("dataset", "circles", noise=0.05)
    value = {"metric": "auroc", "part": "", "value": 0.875, "n": 400, "ci_low": 0.85, "ci_high": 0.9}
    return {
        "protocol": {**choice("protocol", "ood_auroc", against=[against], count=None), "version": 1},
        "method": choice("likelihood", "kde", bandwidth=0.1),
        "data": choice("dataset", "moons", count=1000),
        **{"seed": 3, "dtype": "float32", "threads": 1, "device": "cpu"},
        **{"role": "method", "label": "kde(bandwidth=0.1)"},
        **{"run_id": "run-1", "cell_id": "c" * 64, "cache_key": "k" * 64},
        **{"status": "ok", "error": None, "notes": [], "plugin": "mine", "plugin_version": "1.0"},
        "values": [
            value,
            {**value, "part": "cifar10 → svhn", "ci_low": None, "ci_high": None},
            {**value, "metric": "rms_error", "value": "inf", "ci_low": "nan", "ci_high": "inf"},
        ],
        **{"nfe": 100.0, "wall_s": 1.5, "fit_s": 0.5, "parameter_count": 7, "peak_memory_bytes": None},
        **{"started": "2026-11-22T19:00:01+00:00", "ended": "2026-11-22T19:00:02.500000+00:00"},
        **more,
    }


PLAN = {"run_id": "run-1", "suite": "quick", "cells": 2, "fits": 1, "cached": 0}
SUMMARY = {"run_id": "run-1", "suite": "quick", "statuses": {"ok": 1, "timeout": 1}, "wall_s": 3.0}


def test_a_record_in_the_words_of_mlflow(package):
    from mfbench_mlflow import wording

    told = wording.parameters(record())
    assert told["method"] == "kde"
    assert told["method.bandwidth"] == "0.1"
    assert told["protocol.against"].startswith('[{"kind": "dataset"')
    assert (told["seed"], told["data.count"]) == ("3", "1000")
    numbers = wording.metrics(record())
    assert numbers["auroc"] == 0.875
    assert (numbers["auroc.ci_low"], numbers["auroc.ci_high"]) == (0.85, 0.9)
    assert numbers["auroc/cifar10 _ svhn"] == 0.875
    assert numbers["nfe"] == 100
    assert all(map(math.isfinite, numbers.values()))
    marks = wording.tags(record())
    assert (marks["rms_error"], marks["mfbench.status"]) == ("inf", "ok")
    assert wording.milliseconds("1970-01-01T00:00:01.250000+00:00") == 1250


def test_a_long_parameter_is_cut(package):
    from mfbench_mlflow import wording

    told = wording.parameters(record(method={"name": "m", "parameters": {"text": "x" * 10_000}}))
    assert len(told["method.text"]) == wording.LONGEST
    marks = wording.tags(record(error={"type": "ValueError", "message": "x" * 10_000}))
    assert len(marks["mfbench.error"]) == wording.LONGEST


def test_hooks_of_a_run_that_nobody_announced_say_nothing(package, monkeypatch):
    monkeypatch.setenv("MFBENCH_MLFLOW", "off")
    package.mfbench_run_started(PLAN)
    package.mfbench_cell_finished(record())
    package.mfbench_run_finished({**SUMMARY, "interrupted": False})


def test_runs_and_cells_lie_in_mlflows_store(package, client):
    package.mfbench_run_started(PLAN)
    package.mfbench_cell_finished(record())
    error = {"type": "Timeout", "message": "no answer in 120 s"}
    package.mfbench_cell_finished(record(seed=4, status="timeout", error=error, values=[]))
    package.mfbench_run_finished({**SUMMARY, "interrupted": True})
    experiment = client.get_experiment_by_name("mfbench/quick")
    runs = client.search_runs([experiment.experiment_id])
    parent = next(run for run in runs if "mlflow.parentRunId" not in run.data.tags)
    cells = {run.data.params["seed"]: run for run in runs if run is not parent}
    assert {run.data.tags["mlflow.parentRunId"] for run in cells.values()} == {parent.info.run_id}
    assert (parent.info.status, parent.data.metrics["cells.timeout"]) == ("KILLED", 1)
    assert parent.data.params == {"cells": "2", "fits": "1", "cached": "0"}
    good, late = cells["3"], cells["4"]
    assert (good.info.status, good.info.run_name) == ("FINISHED", "kde(bandwidth=0.1) on moons, seed 3")
    assert good.data.metrics["auroc.ci_high"] == 0.9
    assert good.data.params["method.bandwidth"] == "0.1"
    assert good.info.end_time - good.info.start_time == 1500
    assert late.info.status == "FAILED"
    assert late.data.tags["mfbench.error"] == "Timeout: no answer in 120 s"


def test_a_second_run_joins_the_experiment(package, client):
    for run_id in ("run-1", "run-2"):
        package.mfbench_run_started({**PLAN, "run_id": run_id})
        package.mfbench_run_finished({**SUMMARY, "run_id": run_id, "interrupted": False})
    experiment = client.get_experiment_by_name("mfbench/quick")
    runs = client.search_runs([experiment.experiment_id])
    assert {run.data.tags["mfbench.run_id"] for run in runs} == {"run-1", "run-2"}
    assert {run.info.status for run in runs} == {"FINISHED"}


def test_mfbench_run_fills_mlflows_store(package, client, tmp_path):
    from mfbench.cli import main

    (tmp_path / "broken.py").write_text(PLUGIN)
    (tmp_path / "suite.toml").write_text(SUITE)
    given = ["--plugin", "mfbench_mlflow", "--store", str(tmp_path / "results.sqlite")]
    assert main(["run", str(tmp_path / "suite.toml"), *given]) == 1  # one cell failed
    experiment = client.get_experiment_by_name("mfbench/tracked")
    runs = client.search_runs([experiment.experiment_id])
    by_method = {run.data.params.get("method"): run for run in runs}
    assert {name: run.info.status for name, run in by_method.items()} == {
        **{None: "FINISHED", "gaussian": "FINISHED", "broken": "FAILED"}
    }
    assert 0 <= by_method["gaussian"].data.metrics["auroc"] <= 1
    assert "it is broken" in by_method["broken"].data.tags["mfbench.error"]


class Slow:
    """A tracker that takes nothing before it is let go; `broken` cells are more than it can take.

    With `calls`, a cell takes so many calls of 0.1 s each.
    """

    def __init__(self):
        self.go = threading.Event()
        self.took = []
        self.calls = 0

    def __call__(self, plan, answered):
        self.answered = answered
        assert self.go.wait(60)
        return self

    def log_cell(self, entry):
        if not entry.ok:
            raise ConnectionError("the line\n is cut")
        for _ in range(self.calls):
            time.sleep(0.1)
            self.answered()
        self.took.append(entry.name)

    def finish(self, summary):
        self.took.append(summary["run_id"])


@pytest.fixture
def slow(package):
    tracker = Slow()
    yield tracker
    tracker.go.set()


def entry(**more):
    from mfbench_mlflow import wording

    return wording.entry(record(**more))


def test_a_tracker_that_is_slow_holds_up_nothing_and_hears_all(slow):
    from mfbench_mlflow.sending import Sender

    sender = Sender(PLAN, slow)
    for seed in range(50):
        sender.cell(entry(seed=seed))
    assert slow.took == []
    slow.go.set()
    sender.finish(SUMMARY)
    assert slow.took == [f"kde(bandwidth=0.1) on moons, seed {seed}" for seed in range(50)] + ["run-1"]


def test_a_tracker_that_does_not_come_back_is_left_after_a_while(slow, monkeypatch):
    from mfbench_mlflow import sending

    monkeypatch.setattr(sending, "STALLED_S", 0.05)
    monkeypatch.setattr(sending, "STARTING_S", 0.05)
    sender = sending.Sender(PLAN, slow)
    sender.cell(entry())
    words = "did not answer in time; it was told of 0 of 1 cells, and the store has them all"
    with pytest.warns(RuntimeWarning, match=words):
        sender.finish(SUMMARY)


def test_a_start_has_time_of_its_own_and_is_no_silence(slow, monkeypatch):
    """A run whose cells were all cached is over before MLflow is imported."""
    from mfbench_mlflow import sending

    monkeypatch.setattr(sending, "STALLED_S", 0.05)
    sender = sending.Sender(PLAN, slow)
    threading.Timer(0.5, slow.go.set).start()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sender.finish(SUMMARY)
    assert slow.took == ["run-1"]


def test_every_answer_is_waited_on_not_only_the_last_of_a_cell(slow, monkeypatch):
    from mfbench_mlflow import sending

    monkeypatch.setattr(sending, "STALLED_S", 2.0)
    slow.calls = 40
    slow.go.set()
    sender = sending.Sender(PLAN, slow)
    sender.cell(entry())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sender.finish(SUMMARY)
    assert slow.took[-1] == "run-1"


def test_a_queue_has_an_end(slow, monkeypatch):
    from mfbench_mlflow import sending

    monkeypatch.setattr(sending, "ROOM", 3)
    sender = sending.Sender(PLAN, slow)
    for seed in range(10):
        sender.cell(entry(seed=seed))
    slow.go.set()
    with pytest.warns(RuntimeWarning, match="more than 3 cells waited for it; it was told of 3 of 10 cells"):
        sender.finish(SUMMARY)
    assert slow.took[-1] == "run-1"


def test_the_first_failure_is_the_last_and_told_once(slow):
    from mfbench_mlflow.sending import Sender

    slow.go.set()
    sender = Sender(PLAN, slow)
    sender.cell(entry())
    sender.cell(entry(status="failed"))
    sender._thread.join(60)
    line = "MLflow: the line is cut; it was told of 1 of 3 cells, and the store has them all"
    with pytest.warns(RuntimeWarning, match=line):
        sender.cell(entry(seed=4))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sender.cell(entry(seed=5))
        sender.finish(SUMMARY)
    assert slow.took == ["kde(bandwidth=0.1) on moons, seed 3"]


def test_a_server_that_is_down_is_named(package, monkeypatch):
    mlflow_or_skip()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", CLOSED)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    package.mfbench_run_started(PLAN)
    package.mfbench_cell_finished(record())
    with pytest.warns(RuntimeWarning, match=f"MLflow: .*{CLOSED}.* failed .*; it was told of 0 of 1 cells"):
        package.mfbench_run_finished({**SUMMARY, "interrupted": False})


def test_a_server_that_is_down_costs_its_log_and_no_result(package, tmp_path, monkeypatch):
    """MLflow itself would try again for four minutes."""
    mlflow_or_skip()
    from mfbench_mlflow import sending

    from mfbench.cli import main
    from mfbench.store import Store

    monkeypatch.setenv("MLFLOW_TRACKING_URI", CLOSED)
    monkeypatch.setenv("MFBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sending, "STALLED_S", 0.5)
    monkeypatch.setattr(sending, "STARTING_S", 0.5)
    (tmp_path / "broken.py").write_text(PLUGIN)
    (tmp_path / "suite.toml").write_text(SUITE)
    given = ["--plugin", "mfbench_mlflow", "--store", str(tmp_path / "results.sqlite")]
    with pytest.warns(RuntimeWarning) as told:
        assert main(["run", str(tmp_path / "suite.toml"), *given]) == 1
    (line,) = (str(warning.message) for warning in told if "MLflow" in str(warning.message))
    assert line.endswith("did not answer in time; it was told of 0 of 2 cells, and the store has them all")
    with Store(tmp_path / "results.sqlite") as store:
        assert sorted(store.statuses().values()) == ["failed", "ok"]


def test_the_plugin_is_light(package):
    """`mfbench list` imports it: without MLflow."""
    import subprocess
    import sys

    path = f"import sys; sys.path.insert(0, {str(SOURCE)!r})"
    code = f"{path}; import mfbench_mlflow; print('mlflow' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "False"
    assert "mfbench_mlflow" in {plugin.name for plugin in load_registry(["mfbench_mlflow"]).plugins}
