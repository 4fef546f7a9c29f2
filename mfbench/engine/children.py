"""`run_cell`: the seam to every executor. Behind it, the warm children of this process."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

from mfbench.engine.records import Task, ended, error_of, now
from mfbench.engine.supervisor import ChildKind, Supervisor

ProgressSink = Callable[[Task, int, int], None]


def run_cell(payload: str, by: Children | None = None) -> str:
    """Do a task (JSON, see docs/architecture.md) in a supervised child of this process; gives its record.

    Takes and returns JSON and never raises: whatever happens to the child is what the record says. `by` owns
    the child (default: this process's children).
    """
    task = json.loads(payload)
    started = now()
    try:
        record = (by or _children).run(task, payload)
    except Exception as error:
        message = f"the task could not be given to a child: {error}"
        record = ended(task, "crashed", error_of(type(error).__name__, message), started)
    return json.dumps(record, allow_nan=False)


class Children:
    """Supervisors: the idle ones wait for the next task of their kind."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[Supervisor] = []
        self._busy: set[Supervisor] = set()
        self._starter: ThreadPoolExecutor | None = None
        self._stopped = False
        self.progress: ProgressSink = lambda task, done, total: None

    def run(self, task: Task, payload: str) -> dict[str, Any]:
        """The task's record."""
        supervisor = self._take(ChildKind.of(task))
        try:
            return supervisor.run(task, payload, self.progress)
        finally:
            self._give_back(supervisor)

    def start(self) -> None:
        """Take tasks again after a stop."""
        self._stopped = False

    def stop(self) -> None:
        """End every child, computing or idle: tasks under way, and any that come, end as crashed."""
        with self._lock:
            self._stopped = True
            for supervisor in self._busy:
                supervisor.cancel()
        self.close_idle()

    def close_idle(self) -> None:
        """End the children that wait."""
        with self._lock:
            idle, self._idle = self._idle, []
        for supervisor in idle:
            supervisor.close()

    def _take(self, kind: ChildKind) -> Supervisor:
        with self._lock:
            if self._stopped:
                raise RuntimeError("the run was stopped")
            supervisor = next((one for one in reversed(self._idle) if one.kind == kind), None)
            stale = None
            if supervisor is not None:
                self._idle.remove(supervisor)
            else:
                stale = self._idle.pop(0) if self._idle else None
                supervisor = Supervisor(kind, self._start)
            self._busy.add(supervisor)
        if stale is not None:
            stale.close()
        return supervisor

    def _give_back(self, supervisor: Supervisor) -> None:
        with self._lock:
            self._busy.discard(supervisor)
            done = self._stopped or supervisor.cancelled
            if not done:
                self._idle.append(supervisor)
        if done:
            supervisor.close()

    def _start(self, *arguments: Any, **options: Any) -> subprocess.Popen[bytes]:
        """Start a process from a thread that lives as long as this process.

        A child that asked the kernel to end it with its parent ends with the *thread* that started it.
        """
        with self._lock:
            if self._starter is None:
                self._starter = ThreadPoolExecutor(1, "mfbench-starter")
            starter = self._starter
        started = starter.submit(subprocess.Popen, *arguments, **options).result()
        return cast("subprocess.Popen[bytes]", started)


_children = Children()


def children() -> Children:
    """The children of this process."""
    return _children


def _forget() -> None:
    """In a forked process: the children belong to the parent, and the starter's thread is not here."""
    global _children
    _children = Children()


os.register_at_fork(after_in_child=_forget)
