"""Records as pandas frames: one row a cell, and one row a value."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from itertools import repeat
from operator import itemgetter
from typing import Any

import numpy as np
import pandas as pd

from mfbench.identity import canonical
from mfbench.plan.choices import choice_identity

MISSING = "missing"
"""The status of a cell that the suite asks for and that has no result yet."""

TEXT_COLUMNS = (
    *("row", "status", "role", "label"),
    *("device", "dtype", "plugin", "plugin_version"),
)
WHOLE_COLUMNS = ("seed", "threads")
COST_COLUMNS = ("nfe", "wall_s", "fit_s", "parameter_count", "peak_memory_bytes")
all_but_seed = itemgetter("protocol", "method", "data", "dtype", "threads", "device")
"""What is asked of all cells of a row."""
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
    return hashlib.sha256(identity_text(list(all_but_seed(spec))).encode()).hexdigest()[:16]


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
    copied = (*TEXT_COLUMNS, *WHOLE_COLUMNS, *COST_COLUMNS)
    told = itemgetter(*copied)
    lines = [
        (*keys[record["row"]], _message(record), tuple(record["notes"]), _digest(record), *told(record))
        for record in records
    ]
    names = ("table", "block", "message", "notes", "data_digest", *copied)
    return _frame(lines, names, dict.fromkeys(WHOLE_COLUMNS, int) | dict.fromkeys(COST_COLUMNS, float))


def value_frame(records: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """One row a value of a cell that ended well; `cell` is the record's number."""
    told = itemgetter(*VALUE_COLUMNS[3:])
    lines = [
        (cell, record["row"], record["seed"], *told(value))
        for cell, record in enumerate(records)
        if record["status"] == "ok"
        for value in record["values"]
    ]
    return _frame(lines, VALUE_COLUMNS, {"cell": int, "seed": int, **dict.fromkeys(VALUE_COLUMNS[5:], float)})


def _frame(lines: Sequence[tuple[Any, ...]], names: Sequence[str], types: Mapping[str, type]) -> pd.DataFrame:
    """Columns of numbers where `types` says so (null is NaN, "inf" infinite); objects otherwise."""
    columns = dict(zip(names, zip(*lines) if lines else repeat(())))
    numbers: dict[str, Any] = {name: np.array(columns[name], of) for name, of in types.items()}
    # As objects: pandas 3 would make texts a type of its own, which is slow to iterate over.
    others = {name: pd.Series(column, dtype=object) for name, column in columns.items() if name not in types}
    return pd.DataFrame(others | numbers, columns=list(names))


def number(value: float | str | None) -> float:
    """A JSON number as a float: "inf", "-inf" and "nan" are strings, and null is NaN."""
    return float("nan") if value is None else float(value)


def _digest(record: Mapping[str, Any]) -> str:
    return record.get("data_digest") or ""


def _message(record: Mapping[str, Any]) -> str:
    error = record["error"]
    if not error:
        return ""
    name, message = str(error.get("type") or ""), str(error.get("message") or "")
    return ": ".join(part for part in (name, message) if part)
