"""Records as pandas frames: one row a cell, and one row a value."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from mfbench.identity import canonical
from mfbench.plan.choices import choice_identity

MISSING = "missing"
"""The status of a cell that the suite asks for and that has no result yet."""

TEXT_COLUMNS = (
    *("row", "status", "role", "label"),
    *("device", "dtype", "plugin", "plugin_version"),
)
COST_COLUMNS = ("nfe", "wall_s", "fit_s", "parameter_count", "peak_memory_bytes")
VALUE_COLUMNS = ("cell", "row", "seed", "metric", "part", "value", "n", "ci_low", "ci_high")


def table_key(record: Mapping[str, Any]) -> str:
    """What one table holds: a protocol at a version, on a data set. Another version is another table."""
    protocol, data = record["protocol"], record["data"]
    return identity_text([protocol["name"], protocol["version"], data["name"], data["parameters"]])


def block_key(record: Mapping[str, Any]) -> str:
    """A table at equal protocol parameters: what methods are ranked within."""
    return identity_text([record["protocol"], record["data"]])


def protocol_label(protocol: Mapping[str, Any]) -> str:
    """A protocol with its numbers, for a line on the terminal: `step_consistency(count=500, step=2)`."""
    given = sorted(protocol["parameters"].items())
    plain = ", ".join(f"{name}={value:g}" for name, value in given if _is_plain(value))
    return f"{protocol['name']}({plain})" if plain else str(protocol["name"])


def _is_plain(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def row_id(spec: Mapping[str, Any]) -> str:
    """Identity of a board's row: all that was asked but the seed. Sixteen hexadecimal digits."""
    asked = [spec[name] for name in ("protocol", "method", "data", "dtype", "threads", "device")]
    return hashlib.sha256(identity_text(asked).encode()).hexdigest()[:16]


def identity_text(asked: Any) -> str:
    """Canonical JSON in which files count by their content, not by where they lie."""
    text = canonical(asked)
    return canonical(choice_identity(asked)) if '"sha256"' in text else text


def cell_frame(records: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """One row a record, in their order; index 0..n-1 is the cell's number.

    `table` and `block` are keys: cells are ranked within a block, a table at equal protocol parameters.
    """
    # All cells of a row share its table and block: their keys are made once a row.
    first = {record["row"]: record for record in reversed(records)}
    keys = {row: (table_key(record), block_key(record)) for row, record in first.items()}
    columns: dict[str, list[Any]] = {
        "table": [keys[record["row"]][0] for record in records],
        "block": [keys[record["row"]][1] for record in records],
        "message": [_message(record) for record in records],
        "notes": [tuple(record["notes"]) for record in records],
        "data_digest": [record.get("data_digest") or "" for record in records],
    }
    for name in TEXT_COLUMNS:
        columns[name] = [record[name] for record in records]
    # As objects: pandas 3 would make texts a type of its own, which is slow to iterate over.
    frame = pd.DataFrame({name: pd.Series(column, dtype=object) for name, column in columns.items()})
    whole = {name: [record[name] for record in records] for name in ("seed", "threads")}
    costs = {name: [number(record[name]) for record in records] for name in COST_COLUMNS}
    return frame.assign(**whole, **costs)


def value_frame(records: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """One row a value of a cell that ended well; `cell` is the record's number."""
    lines = [
        (
            cell,
            record["row"],
            record["seed"],
            value["metric"],
            value["part"],
            number(value["value"]),
            number(value["n"]),
            number(value["ci_low"]),
            number(value["ci_high"]),
        )
        for cell, record in enumerate(records)
        if record["status"] == "ok"
        for value in record["values"]
    ]
    frame = pd.DataFrame(lines, columns=list(VALUE_COLUMNS), dtype=object)
    numbers = {"cell": int, "seed": int, "value": float, "n": float, "ci_low": float, "ci_high": float}
    return frame.astype(numbers)


def number(value: float | str | None) -> float:
    """A JSON number as a float: "inf", "-inf" and "nan" are strings, and null is NaN."""
    return float("nan") if value is None else float(value)


def _message(record: Mapping[str, Any]) -> str:
    error = record["error"]
    if not error:
        return ""
    name, message = str(error.get("type") or ""), str(error.get("message") or "")
    return ": ".join(part for part in (name, message) if part)
