"""The worker's side: tasks, each in a supervised child; a bad method costs its cell, and not the worker.

Imports neither Dask nor torch: a worker process stays small.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from mfbench.engine.children import Children, run_cell
from mfbench.paths import cache_root
from mfbench.remote.parcels import Parcel, file_parcel, find_file, fit_parcel, is_here

Plugins = Mapping[str, str]
"""The sources a task names, and the SHA-256 of those that are files ("" of modules)."""

Report = Callable[[str, int, int], None]
"""Told how far a fit is: its key, done, total."""

_REPORT_EVERY_S = 1.0

_TOGETHER_S = 0.2
"""After which tasks that came together go back, done and not done."""


def perform_all(
    texts: Sequence[str], plugins: Plugins, device: str, name: str, report: Report
) -> dict[str, Any]:
    """Do tasks on `device`, one after another: `{"records": [[JSON, seconds], ...], "missing": parcels}`.

    Not all may be done: the next one needs the parcels first, or those that are done took long enough for
    others to wait for them. name: under which they can be stopped.
    """
    records: list[list[Any]] = []
    began = time.monotonic()
    with _staff.child_for(name) as children:
        children.progress = _throttled(report)
        for text in texts:
            started = time.monotonic()
            task, missing = _made_local(text, plugins, device)
            if missing:
                return {"records": records, "missing": missing}
            records.append([run_cell(json.dumps(task), children), time.monotonic() - started])
            if time.monotonic() - began > _TOGETHER_S:
                break
    return {"records": records, "missing": []}


def _made_local(text: str, plugins: Plugins, device: str) -> tuple[dict[str, Any], list[Parcel]]:
    """A task with this machine's paths, and what it needs that is not here."""
    task = json.loads(text)
    missing: list[Parcel] = []
    paths = {source: _locate(source, sha256, missing) for source, sha256 in plugins.items()}
    task["job"] = _with_own_files(task["job"], missing)
    missing += [p for p in map(fit_parcel, task["job"]["needs"].values()) if not is_here(p)]
    task |= {
        "plugins": [paths[source] for source in task["plugins"]],
        "domain": [paths.get(source, source) for source in task["domain"]],
        "cache": str(cache_root()),
        "device": device,
    }
    return task, missing


def stop(name: str) -> None:
    """Nobody waits for this task any more: end its child, without waiting for that."""
    _staff.stop(name)


def rest(idle_s: float = 0.0) -> None:
    """End the children of this worker that have waited for a task for so many seconds."""
    _staff.rest(idle_s)


def _locate(path: str, sha256: str, missing: list[Parcel]) -> str:
    """The path here of what lies at `path` there; noted as missing where it has to be sent first."""
    if not sha256:
        return path  # a module's name
    found = find_file(path, sha256)
    if found is None:
        missing.append(file_parcel(path, sha256))
    return found or path


def _with_own_files(value: Any, missing: list[Parcel]) -> Any:
    """A job with every `{"file", "sha256"}` in it at its path on this machine."""
    if isinstance(value, list):
        return [_with_own_files(item, missing) for item in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"file", "sha256"}:
        return {**value, "file": _locate(value["file"], value["sha256"], missing)}
    return {key: _with_own_files(item, missing) for key, item in value.items()}


def _throttled(report: Report) -> Callable[[Mapping[str, Any], int, int], None]:
    last = float("-inf")

    def progress(task: Mapping[str, Any], done: int, total: int) -> None:
        nonlocal last
        if task["type"] == "fit" and time.monotonic() - last > _REPORT_EVERY_S:
            last = time.monotonic()
            report(task["job"]["key"], done, total)

    return progress


class Staff:
    """Children of this worker: each task has one of its own, so that one can be stopped by name."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[tuple[Children, float]] = []
        self._busy: dict[str, Children] = {}

    @contextmanager
    def child_for(self, name: str) -> Iterator[Children]:
        """A child, kept for the next task afterwards unless this one was stopped."""
        with self._lock:
            children = self._idle.pop()[0] if self._idle else Children()
            self._busy[name] = children
        try:
            yield children
        finally:
            with self._lock:
                if self._busy.pop(name, None) is not None:
                    self._idle.append((children, time.monotonic()))

    def stop(self, name: str) -> None:
        """End the child of a task."""
        with self._lock:
            children = self._busy.pop(name, None)
        if children is not None:
            threading.Thread(target=children.stop, daemon=True).start()

    def rest(self, idle_s: float) -> None:
        """End the children that have been idle for so long."""
        with self._lock:
            tired = [one for one in self._idle if time.monotonic() - one[1] >= idle_s]
            self._idle = [one for one in self._idle if one not in tired]
        for children, _ in tired:
            children.stop()


_staff = Staff()
