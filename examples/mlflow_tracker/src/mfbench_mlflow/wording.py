"""What a record of mfbench is called in MLflow: parameters, metrics, tags. Functions of plain data."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

_PARTS = ("protocol", "method", "data")
_SETTINGS = ("seed", "dtype", "threads", "device")
_COSTS = ("nfe", "wall_s", "fit_s", "parameter_count", "peak_memory_bytes")
_IDENTITY = ("run_id", "cell_id", "cache_key", "status", "role", "plugin", "plugin_version")

LONGEST = 6000
"""Characters that MLflow keeps of a parameter (of a tag it keeps more)."""


class Entry(NamedTuple):
    """A cell as MLflow is told of it. started, ended: milliseconds since 1970."""

    name: str
    started: int
    ended: int
    ok: bool
    parameters: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]


def entry(record: Mapping[str, Any]) -> Entry:
    """What is logged of a record, without its scores and arrays, which may be large."""
    started, ended = milliseconds(record["started"]), milliseconds(record["ended"])
    told = parameters(record), metrics(record), tags(record)
    return Entry(name_of(record), started, ended, record["status"] == "ok", *told)


def name_of(record: Mapping[str, Any]) -> str:
    """`kde(bandwidth=0.1) on moons, seed 0`."""
    return f"{record['label']} on {record['data']['name']}, seed {record['seed']}"


def parameters(record: Mapping[str, Any]) -> dict[str, str]:
    """What was asked: `protocol`, `method` and `data`, what was given to each, and how the cell was run."""
    told = {part: record[part]["name"] for part in _PARTS}
    for part in _PARTS:
        given = record[part]["parameters"]
        told |= {key(f"{part}.{name}"): _text(value) for name, value in given.items()}
    return told | {name: str(record[name]) for name in _SETTINGS}


def metrics(record: Mapping[str, Any]) -> dict[str, float]:
    """Finite values with their intervals, and costs."""
    return {name: value for name, value in _numbers(record) if math.isfinite(value)}


def tags(record: Mapping[str, Any]) -> dict[str, str]:
    """Identities, status and error; and the numbers that are not finite, as texts."""
    told = {f"mfbench.{name}": str(record[name]) for name in _IDENTITY if record.get(name) is not None}
    if record["error"]:
        told["mfbench.error"] = f"{record['error']['type']}: {record['error']['message']}"
    if record["notes"]:
        told["mfbench.notes"] = "\n".join(record["notes"])
    told |= {name: str(value) for name, value in _numbers(record) if not math.isfinite(value)}
    return {name: _cut(text) for name, text in told.items()}


def key(name: str) -> str:
    """A name as MLflow takes it: letters, digits, and "_", "-", ".", "/" and spaces."""
    return re.sub(r"[^\w\-./ ]", "_", name, flags=re.ASCII)


def milliseconds(time: str) -> int:
    """An ISO 8601 time as MLflow counts: since 1970."""
    return round(1000 * datetime.fromisoformat(time).timestamp())


def _numbers(record: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Non-finite floats are texts in a record."""
    for value in record["values"]:
        name = key("/".join(filter(None, (value["metric"], value["part"]))))
        yield name, float(value["value"])
        for end in ("ci_low", "ci_high"):
            if value[end] is not None:
                yield f"{name}.{end}", float(value[end])
    for name in _COSTS:
        if record[name] is not None:
            yield name, float(record[name])


def _text(value: Any) -> str:
    """References, lists and files as JSON."""
    return _cut(value if isinstance(value, str) else json.dumps(value, sort_keys=True))


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
