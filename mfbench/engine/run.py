"""Runs a plan: the coordinator, the store's only writer. A result is committed when it arrives."""

from __future__ import annotations

import json
import time
import uuid
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryFile
from typing import Any

from mfbench.engine.agenda import Agenda, expected_seconds, make_agenda
from mfbench.engine.children import children
from mfbench.engine.crew import Crew
from mfbench.engine.domains import Domains
from mfbench.engine.executors import Order, RunTask, open_executor
from mfbench.engine.listening import Listener, Summary, Totals
from mfbench.engine.provenance import provenance
from mfbench.engine.records import ended, error_of, now
from mfbench.engine.schedule import Job, Schedule
from mfbench.errors import UserError
from mfbench.paths import cache_root
from mfbench.plan import Cell, Fit, Plan
from mfbench.plan.labels import plain_label
from mfbench.store import Store
from mfbench.store.store import SPEC_KEYS


def run_plan(
    plan: Plan,
    store: Store,
    *,
    executor: str | Workforce = "local",
    workers: int = 1,
    device: str = "cpu",
    retry: bool = False,
    retime: bool = False,
    listener: Listener | None = None,
    hook: Any = None,
    argv: Sequence[str] = (),
    folder: Path | None = None,
) -> Summary:
    """Compute what `plan` asks for and `store` lacks: fits first, then quality, then times.

    executor: see `open_executor`; or what `open_workforce` gave, before the store was made. workers: tasks
    at a time (an executor with a name may count otherwise). device: "cpu", "cuda" (spread over all devices)
    or "cuda:1". retry: do again what failed before. retime: take all times again. hook: `registry.hook`.
    folder: in the suite's checkout.

    Ctrl-C ends the run in order: what was computed is kept, and the summary says `interrupted`. UserError
    where another run holds the store, or the executor does not work.
    """
    if workers < 1:
        raise UserError(f"--workers {workers}: at least one worker is needed")
    strangers = {cell.device for cell in plan.cells} - {device.partition(":")[0]}
    if strangers:
        raise UserError(f"--device {device}: the plan was made for {', '.join(sorted(strangers))}")
    with store.lock(), open_workforce(executor, Order(plan, workers, device)) as force:
        run = _Run(plan, store, listener or Listener(), hook, force)
        return run.go(retry, retime, argv, folder or Path.cwd())


@dataclass(frozen=True)
class Workforce:
    """An open executor, what is submitted to it, and who can be given tasks."""

    pool: Executor
    run_task: RunTask
    crew: Crew


@contextmanager
def open_workforce(executor: str | Workforce, order: Order) -> Iterator[Workforce]:
    """The executor, and the end of every child when the run is over, however it ends.

    One that is open already is left to whoever opened it. UserError where it cannot be opened, or
    the cache cannot be written.
    """
    if isinstance(executor, Workforce):
        yield executor
        return
    _require_cache()
    workforce = Workforce(*open_executor(executor, order))
    pool = workforce.pool
    children().start()
    try:
        yield workforce
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        children().stop()
        pool.shutdown(wait=True)
        children().progress = lambda task, done, total: None


def _require_cache() -> None:
    """UserError where fits could not be kept: else each would fail, as if its method were to blame."""
    folder = cache_root()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise UserError(
            f"MFBENCH_CACHE: {folder} cannot be written ({reason}); name a folder that can be"
        ) from None


class _Run:
    """One run: what is under way, and what came of it."""

    def __init__(
        self,
        plan: Plan,
        store: Store,
        listener: Listener,
        hook: Any,
        force: Workforce,
    ) -> None:
        self.plan, self.store, self.listener, self.hook = plan, store, listener, hook
        self.pool, self.run_task, self.crew = force.pool, force.run_task, force.crew
        self.run_id = uuid.uuid4().hex
        self.cache = cache_root()
        self._under_way: dict[Future[str], tuple[Job, str]] = {}
        self._arrived: SimpleQueue[Future[str] | None] = SimpleQueue()
        self._protocols: set[tuple[str, int]] = set()
        self._statuses: dict[str, str] = {}
        self._computed = self._timed = 0
        self._fits: Counter[str] = Counter()
        self._fit_of = {fit.key: fit for fit in plan.fits}
        self._machine = self.crew.machine() if plan.timing_budget else None

    def go(self, retry: bool, retime: bool, argv: Sequence[str], folder: Path) -> Summary:
        started = time.perf_counter()
        agenda = make_agenda(
            self.plan, self.store, self.cache, retry=retry, retime=retime, machine=self._machine
        )
        self._statuses = agenda.statuses
        cached = len({cell.cache_key for cell in self.plan.cells}) - len(agenda.cells)
        self._begin(agenda, cached, argv, folder)
        interrupted = True
        try:
            self._work(agenda)
            interrupted = False
        except KeyboardInterrupt:
            self._keep_what_arrived()
        except UserError:  # the executor is lost
            self._keep_what_arrived()
            raise
        finally:
            summary = self._summary(cached, time.perf_counter() - started, interrupted)
            self.listener.ended(summary)  # first: the disk may be full
            self.store.end_run(self.run_id, now(), interrupted)
            self._call("mfbench_run_finished", summary=summary.to_json())
        return summary

    def _begin(self, agenda: Agenda, cached: int, argv: Sequence[str], folder: Path) -> None:
        plan = self.plan
        row = {
            "run_id": self.run_id,
            "suite": plan.suite,
            "suite_text": plan.suite_text,
            "suite_hash": plan.suite_hash,
            "partial": plan.partial,
            "argv": list(argv),
            "provenance": provenance(folder) | self.crew.about(),
            "started": now(),
        }
        self.store.begin_run(row, [cell.to_json() for cell in plan.cells])
        weights = expected_seconds(agenda, self.store)
        totals = Totals(self.run_id, plan.suite, len(plan.cells), cached, len(agenda.fits), weights)
        children().progress = self.crew.progress = self.listener.progress
        self.crew.wake = lambda: self._arrived.put(None)
        self.listener.started(totals)
        about = {"cells": totals.cells, "fits": totals.fits, "cached": totals.cached}
        self._call("mfbench_run_started", plan={"run_id": self.run_id, "suite": plan.suite, **about})

    # -- quality, many at a time ------------------------------------------------------------------------

    def _work(self, agenda: Agenda) -> None:
        # By domain, else as planned: a child that has run one plugin's code is of no use to another's cells.
        schedule = Schedule(agenda.fits, sorted(agenda.cells, key=self._domain_of), agenda.fitted)
        for key, record in agenda.lost.items():
            self._give_up(schedule, key, record)
        self._fill(schedule)
        while self._under_way:
            future = self._arrived.get()
            if future is not None:
                self._take(future, schedule)
            self._fill(schedule)
        timings = [cell for cell in agenda.timings if self._may_be_timed(cell)]
        timings.sort(key=self._domain_of)
        if timings:
            self._time(timings)

    def _fill(self, schedule: Schedule) -> None:
        while (slot := self.crew.take()) is not None:
            job = schedule.next()
            if job is None:
                self.crew.give_back(slot)
                return
            self._submit(job, "fit" if isinstance(job, Fit) else "cell", slot)

    def _submit(self, job: Job, kind: str, slot: str) -> Future[str]:
        task = {
            "type": kind,
            "job": job.to_json(),
            "plugins": self.plan.plugins,
            "domain": self._domain_of(job),
            "cache": str(self.cache),
            "device": slot,
            "time_limit": job.time_limit,
            "memory_limit": job.memory_limit,
            "timing_budget": self.plan.timing_budget,
        }
        self.listener.begun(job)
        try:
            future = self.pool.submit(self.run_task, json.dumps(task))
        except RuntimeError as error:
            raise UserError(f"--executor: it takes no more work ({error})") from None
        self._under_way[future] = job, slot
        future.add_done_callback(self._arrived.put)
        return future

    @cached_property
    def _domains(self) -> Domains:
        return Domains(self.plan.plugins)

    def _domain_of(self, job: Job) -> list[str]:
        return self._domains.of(job.to_json())

    def _answer(self, future: Future[str]) -> tuple[Job, str, dict[str, Any]]:
        """The job, its slot (now free) and its record; UserError where the executor lost it."""
        job, slot = self._under_way.pop(future)
        self.crew.give_back(slot)
        try:
            record: dict[str, Any] = json.loads(future.result())
        except UserError as error:
            raise UserError(f"{error}; results so far are kept") from None
        except Exception as error:
            kind = type(error).__name__
            raise UserError(
                f"--executor: it lost a task ({kind}: {error}); results so far are kept"
            ) from None
        return job, slot, record

    def _take(self, future: Future[str], schedule: Schedule) -> None:
        job, _, record = self._answer(future)
        if isinstance(job, Cell):
            self._keep_cell(job, record)
            return
        self._keep_fit(job, record)
        if record["status"] == "ok":
            schedule.done(job.key)
        else:
            self._give_up(schedule, job.key, record)

    def _keep_cell(self, cell: Cell, record: dict[str, Any]) -> None:
        about = record.pop("about", None)
        if about is not None and (key := (about["name"], about["version"])) not in self._protocols:
            self.store.add_protocol(*key, about)
            self._protocols.add(key)
        self.store.add_result(self.run_id, record)
        self._statuses[cell.cache_key] = record["status"]
        self._computed += 1
        self.listener.finished(cell, record)
        if self._has_hook("mfbench_cell_finished"):
            asked = {name: getattr(cell, name) for name in SPEC_KEYS}
            self._call("mfbench_cell_finished", record={**asked, **record, "run_id": self.run_id})

    def _keep_fit(self, fit: Fit, record: dict[str, Any]) -> None:
        self.store.add_fit(self.run_id, record, fit.to_json())
        self._fits[record["status"]] += 1
        self.listener.finished(fit, record)

    def _give_up(self, schedule: Schedule, fit_key: str, fit_record: Mapping[str, Any]) -> None:
        """A fit failed: the cells that waited for it, directly or not, get records that name it."""
        fit = self._fit_of[fit_key]
        status = "unsupported" if fit_record["status"] == "unsupported" else "failed"
        error = _fit_error(fit, fit_record)
        for job in schedule.failed(fit_key):
            kind = "fit" if isinstance(job, Fit) else "cell"
            record = ended({"type": kind, "job": job.to_json()}, status, error, now())
            if isinstance(job, Fit):
                self._keep_fit(job, record)
            else:
                self._keep_cell(job, record)

    def _keep_what_arrived(self) -> None:
        """Interrupted: results that are here already are kept all the same."""
        while not self._arrived.empty():
            future = self._arrived.get()
            if future is None or future.cancelled() or future.exception() is not None:
                continue
            job, _, record = self._answer(future)
            if record["type"] == "cell" and isinstance(job, Cell):
                self._keep_cell(job, record)
            elif isinstance(job, Fit):
                self._keep_fit(job, record)

    # -- times, one after another -----------------------------------------------------------------------

    def _may_be_timed(self, cell: Cell) -> bool:
        return self._statuses.get(cell.cache_key) == "ok"

    def _time(self, cells: Sequence[Cell]) -> None:
        self.listener.timing(len(cells))
        for cell in cells:
            slot = self.crew.take()
            assert slot is not None  # nothing else is under way
            future = self._submit(cell, "timing", slot)
            while self._arrived.get() is not future:  # a worker that came
                pass
            _, _, record = self._answer(future)
            self.store.add_timing(self.run_id, {**record, "machine": record["machine"] or self._machine})
            self._timed += 1
            self.listener.timed(cell, record)

    # -- the end, and hooks -----------------------------------------------------------------------------

    def _summary(self, cached: int, wall_s: float, interrupted: bool) -> Summary:
        keys = {cell.cache_key for cell in self.plan.cells}
        statuses = Counter(self._statuses[key] for key in keys if key in self._statuses)
        return Summary(
            run_id=self.run_id,
            suite=self.plan.suite,
            statuses=dict(sorted(statuses.items())),
            computed=self._computed,
            cached=cached,
            fits=dict(self._fits),
            timed=self._timed,
            wall_s=wall_s,
            interrupted=interrupted,
        )

    def _has_hook(self, name: str) -> bool:
        caller = getattr(self.hook, name, None)
        return caller is not None and bool(getattr(caller, "get_hookimpls", lambda: True)())

    def _call(self, name: str, **arguments: Any) -> None:
        """Call a life-cycle hook; one that raises is a warning, not the end of the run."""
        if not self._has_hook(name):
            return
        try:
            getattr(self.hook, name)(**arguments)
        except Exception as error:
            warnings.warn(f"hook {name} raised {type(error).__name__}: {error}", RuntimeWarning, stacklevel=2)


def _fit_error(fit: Fit, record: Mapping[str, Any]) -> dict[str, str]:
    error = record["error"] or error_of("Unknown", record["status"])
    name = f"{fit.choice['kind']} {plain_label(fit.choice)} on {plain_label(fit.data)}, seed {fit.seed}"
    cause = f"{record['status']}: {error['type']}: {error['message']}"
    message = f"the fit of {name} ({fit.key[:12]}) ended as {cause}"
    return error_of("FitFailed", message, error["traceback"])
