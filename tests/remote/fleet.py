"""A Dask scheduler and workers as processes of their own, which tests may kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mfbench.plan.planning import make_plan
from mfbench.registry import load_registry
from mfbench.suite import parse_suite
from mfbench.wording import Where

PLUGIN = Path(__file__).with_name("fleet_plugin.py")
QUICK = Path(__file__).parents[2] / "benchmarks" / "quick.toml"
PATIENCE_S = 300.0

SUITE = """
[suite]
name = "tiny"
seeds = {seeds}
time_limit = 2000
timing = {timing}
timing_budget = 0.05
[executor.dask]
{settings}
[[run]]
protocol = "mean_score"
data = "line"
methods = {methods}
"""


class Fleet:
    """`folder` holds the scheduler's file, the logs, and a cache for each worker."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.scheduler: subprocess.Popen[bytes] | None = None
        self.workers: list[subprocess.Popen[bytes]] = []
        self.address = ""

    def start_scheduler(self, host: str = "127.0.0.1") -> str:
        """Its address."""
        file = self.folder / "scheduler.json"
        file.unlink(missing_ok=True)
        self.scheduler = self._start(
            "scheduler",
            "dask_scheduler",
            "--host",
            host,
            "--no-dashboard",
            "--port",
            "0",
            "--scheduler-file",
            file,
        )
        wait_until(lambda: file.exists() and file.read_text().strip().endswith("}"), "the scheduler")
        self.address = json.loads(file.read_text())["address"]
        return self.address

    def start_worker(
        self,
        *arguments: str,
        address: str = "",
        environment: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
    ) -> subprocess.Popen[bytes]:
        """A worker with a cache of its own, and without a nanny: it stays dead."""
        name = f"w{len(self.workers)}"
        own = {"MFBENCH_CACHE": str(self.folder / f"cache-{name}"), **(environment or {})}
        worker = self._start(
            name,
            "dask_worker",
            *(
                address or self.address,
                "--no-nanny",
                "--no-dashboard",
                "--nthreads",
                "1",
                "--memory-limit",
                "0",
            ),
            *("--local-directory", self.folder / name, "--name", name, *arguments),
            environment=own,
            prefix=prefix,
        )
        self.workers.append(worker)
        return worker

    def settle(self) -> None:
        """Wait until the scheduler knows every worker."""
        for index in range(len(self.workers)):
            log = self.folder / f"w{index}.log"
            wait_until(lambda log=log: "Registered to" in log.read_text(), f"worker {index}")

    def stop(self) -> None:
        """End every process."""
        for process in (*self.workers, *([self.scheduler] if self.scheduler else [])):
            end(process)

    def _start(
        self,
        name: str,
        module: str,
        *arguments: Any,
        environment: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
    ) -> subprocess.Popen[bytes]:
        command = [*prefix, sys.executable, "-m", f"distributed.cli.{module}", *map(str, arguments)]
        path = os.pathsep.join(entry for entry in sys.path if entry)
        with (self.folder / f"{name}.log").open("wb") as log:
            return subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONPATH": path, **(environment or {})},
                cwd=self.folder,
            )


def end(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL, and wait."""
    if process.poll() is None:
        process.send_signal(signal.SIGKILL)
    process.wait()


def wait_until(true: Any, what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, f"{what} did not come"
        time.sleep(0.05)


def suite_of(
    methods: Sequence[Any],
    address: str = "",
    seeds: Sequence[int] = (0,),
    timing: bool = False,
    settings: str = "",
) -> str:
    """The text of a suite of these methods (names, or TOML tables as text)."""
    shown = ", ".join(one if one.startswith("{") else json.dumps(one) for one in methods)
    where = f'address = "{address}"\nwait = 60' if address else ""
    return SUITE.format(
        seeds=list(seeds), timing=str(timing).lower(), settings=f"{where}\n{settings}", methods=f"[{shown}]"
    )


def plan_of(text: str, folder: Path, plugin: Path = PLUGIN) -> Any:
    """The plan of a suite's text."""
    return make_plan(parse_suite(text, folder, Where("tiny.toml")), load_registry([str(plugin)]))


def answers(store: Any, cells: Sequence[Any] = ()) -> dict[str, Any]:
    """What a run says, without times and provenance; of these cells of a plan, or of all."""
    keys = ("status", "values", "nfe", "notes", "parameter_count", "plugin", "plugin_version")
    results = store.results(cache_keys=[cell.cache_key for cell in cells] or None)
    scores = store.scores([record["cache_key"] for record in results.values()])
    return {
        cell_id: (
            {key: record[key] for key in keys},
            record["error"] and record["error"]["message"],
            {name: array.tolist() for name, array in scores.get(record["cache_key"], {}).items()},
        )
        for cell_id, record in results.items()
    }
