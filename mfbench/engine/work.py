"""Does one task in this process: computes a cell, fits a method, or times a cell."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from mfbench import artifacts
from mfbench.engine.datasets import DatasetCache
from mfbench.engine.failures import describe, status_of
from mfbench.engine.instances import Instances
from mfbench.engine.limits import memory_limited
from mfbench.engine.machine import machine_name
from mfbench.engine.measurement import describe_protocol, encode_measurement
from mfbench.engine.records import Task, blank, choices_in, now
from mfbench.engine.reset import generator, reset
from mfbench.engine.surroundings import surroundings_kept
from mfbench.errors import ContractError, Unsupported
from mfbench.identity import encode_float
from mfbench.plan.choices import choice_identity
from mfbench.registry import load_registry
from mfbench.timing import QualityClock, TimingClock, reset_resident_peak, resident_peak

Report = Callable[[dict[str, Any]], None]
"""Where a task says, before it ends, how far it is (`{"progress": [done, total]}`) and who answers."""

_REPORT_EVERY_S = 0.1


class Worker:
    """Does tasks one after another; what they share (plugins, data sets) is kept between them."""

    def __init__(self, plugins: Sequence[str]) -> None:
        self.registry = load_registry(plugins)
        self._datasets = DatasetCache()

    def execute(self, task: Task, report: Report) -> dict[str, Any]:
        """The task's record. Whatever a method raises is a result, its own KeyboardInterrupt included."""
        record = blank(task)
        started = time.perf_counter()
        peak = None
        try:
            peak = _PeakMemory(task["device"])
            with memory_limited(task["memory_limit"], task["device"]):
                record |= self._who(task, report)
                record |= self._do(task, report)
        except BaseException as error:  # SystemExit and the like end a cell, not the bench
            record |= {"status": status_of(error), "error": describe(error)}
        if task["type"] != "timing":
            record |= {"wall_s": time.perf_counter() - started, "peak_memory_bytes": peak and peak.bytes()}
        return record | {"ended": now()}

    def _do(self, task: Task, report: Report) -> dict[str, Any]:
        job = task["job"]
        reset(job["dtype"], job["threads"], job["seed"], task["device"])
        self._import(job)
        with surroundings_kept():
            return self._measure(task, report)

    def _import(self, job: Mapping[str, Any]) -> None:
        """Import the classes that a job names; what that changes in the process stays, as for any import."""
        for choice in choices_in(job):
            self.registry.load(self.registry.card(choice["kind"], choice["name"]))
        if job.get("unreadable"):  # when the run was planned, though not now
            raise ContractError(job["unreadable"])

    def _measure(self, task: Task, report: Report) -> dict[str, Any]:
        job = task["job"]
        dtype = reset(job["dtype"], job["threads"], job["seed"], task["device"])  # imports may have drawn
        if task["type"] == "fit":
            return self._fit(task, dtype, report)
        clock = TimingClock(task["device"], task["timing_budget"] or None)
        if task["type"] == "timing":
            self._evaluate(task, dtype, report, clock)
            return _timed(clock, task["device"])
        return self._evaluate(task, dtype, report, QualityClock())

    def _who(self, task: Task, report: Report) -> dict[str, Any]:
        """Whose method a cell measures, said at once: it may be the last that is heard of it."""
        if task["type"] != "cell":
            return {}
        method = task["job"]["method"]
        card = self.registry.card(method["kind"], method["name"])
        who = {"plugin": card.plugin, "plugin_version": card.plugin_version}
        report({"known": who})
        return who

    def _evaluate(
        self, task: Task, dtype: torch.dtype, report: Report, clock: QualityClock | TimingClock
    ) -> dict[str, Any]:
        job = task["job"]
        instances = Instances(self.registry, self._datasets, task, dtype, _progress(report))
        method = instances.get(job["method"])
        asked = job["protocol"]
        protocol = self.registry.load(self.registry.card("protocol", asked["name"]))()
        arguments = instances.arguments(asked["parameters"])
        rng = generator(task["device"], "evaluate", asked["name"], job["data"]["name"], job["seed"])
        measurement = protocol.evaluate(method, instances.data, rng=rng, clock=clock, **arguments)
        if clock.timing_only:
            return {}
        return {
            **encode_measurement(measurement, protocol.metrics),
            "fit_s": instances.fit_seconds(job["method"]),
            "parameter_count": instances.parameter_count(job["method"]),
            "about": describe_protocol(asked["name"], protocol),
        }

    def _fit(self, task: Task, dtype: torch.dtype, report: Report) -> dict[str, Any]:
        job = task["job"]
        instances = Instances(self.registry, self._datasets, task, dtype, _progress(report))
        method, seconds = instances.fit(job["choice"])
        state = method.state_dict()
        header = {
            "class": f"{type(method).__module__}:{type(method).__qualname__}",
            "choice": choice_identity(job["choice"]),
            "data": {"choice": choice_identity(job["data"]), "digest": instances.data.digest},
            "seed": job["seed"],
            "wall_s": seconds,
        }
        digest = artifacts.save(Path(task["cache"]), job["key"], state, header)
        return {"artifact_sha256": digest, "parameter_count": artifacts.floating_elements(state)}


class _PeakMemory:
    """The most memory held since this was made: of the allocator on CUDA, resident on the CPU."""

    def __init__(self, device: str) -> None:
        self._cuda = device if device.startswith("cuda") else None
        if self._cuda:
            torch.cuda.init()  # type: ignore[no-untyped-call]
            torch.cuda.reset_peak_memory_stats(self._cuda)
        self._known = not self._cuda and reset_resident_peak()

    def bytes(self) -> int | None:
        if self._cuda:
            return int(torch.cuda.max_memory_allocated(self._cuda))
        return resident_peak() if self._known else None


def _timed(clock: TimingClock, device: str) -> dict[str, Any]:
    if clock.timing is None:
        raise Unsupported("the protocol measures no workload")
    timing = clock.timing
    return {
        "device_ms": encode_float(timing.device_ms),
        "device_ms_iqr": encode_float(timing.device_ms_iqr),
        "timing_n": timing.n,
        "valid": timing.valid,
        "peak_memory_bytes": timing.peak_memory_bytes,
        "machine": machine_name(device),
    }


def _progress(report: Report) -> Callable[[int, int], None]:
    last = float("-inf")

    def progress(done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last > _REPORT_EVERY_S:
            last = time.monotonic()
            report({"progress": [int(done), int(total)]})

    return progress
