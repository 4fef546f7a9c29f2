"""The records of cells, fits and timings: their shapes, filled in before anything is known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

Task = Mapping[str, Any]
"""The payload of `run_cell`, parsed: {"type", "job", "plugins", "cache", "device", limits ...}."""

FINAL = frozenset({"ok", "unsupported"})
"""Statuses that `--retry` leaves alone."""


def now() -> str:
    """The present moment, ISO 8601, UTC."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def error_of(kind: str, message: str, traceback: str = "") -> dict[str, str]:
    """What a record says of a failure."""
    return {"type": kind, "message": message, "traceback": traceback}


def choices_in(value: Any) -> Iterator[Mapping[str, Any]]:
    """Every choice in a job (or in a part of one): data set, protocol, method and all that they refer to."""
    if isinstance(value, list):
        for item in value:
            yield from choices_in(item)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from choices_in(item)
        if "parameters" in value:
            yield value


def blank(task: Task) -> dict[str, Any]:
    """The record of a task that has just begun."""
    job = task["job"]
    common = {"type": task["type"], "status": "ok", "error": None, "started": now(), "ended": ""}
    return {**common, **_OWN[task["type"]], **_identity(task["type"], job)}


def ended(task: Task, status: str, error: Mapping[str, str], started: str) -> dict[str, Any]:
    """The record of a task that gave none itself: it crashed, hung, or never began."""
    return {**blank(task), "status": status, "error": dict(error), "started": started, "ended": now()}


def _identity(kind: str, job: Mapping[str, Any]) -> dict[str, Any]:
    if kind == "fit":
        return {"fit_key": job["key"]}
    return {"cell_id": job["cell_id"], "cache_key": job["cache_key"]}


_OWN: dict[str, dict[str, Any]] = {
    "cell": {
        **{"values": [], "scores": {}, "arrays": {}, "nfe": None, "notes": [], "wall_s": None, "fit_s": None},
        **{"parameter_count": None, "peak_memory_bytes": None, "plugin": "", "plugin_version": ""},
    },
    "fit": {
        **{"wall_s": None, "parameter_count": None, "peak_memory_bytes": None, "artifact_sha256": None},
    },
    "timing": {
        **{"device_ms": None, "device_ms_iqr": None, "timing_n": None, "valid": False, "machine": ""},
        "peak_memory_bytes": None,
    },
}
