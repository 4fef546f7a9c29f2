"""A board's records as protocols are told of them, table by table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mfbench.boards.bundle import Bundle
from mfbench.boards.cells import number
from mfbench.boards.tables import Table
from mfbench.contracts import Record, Value
from mfbench.identity import decode_float


def ended_well(bundle: Bundle, tables: Sequence[Table]) -> dict[str, list[Mapping[str, Any]]]:
    """By a table's slug, the records of its cells that ended well, of all seeds: as the bundle has them, but
    called as in the table."""
    slug_of = {row: table.slug for table in tables for row in table.rows.index}
    name_of = {row: name for table in tables for row, name in table.rows["name"].items()}
    records: dict[str, list[Mapping[str, Any]]] = {table.slug: [] for table in tables}
    for record in bundle.records:
        if record["status"] == "ok":
            row = record["row"]
            records[slug_of[row]].append({**record, "label": name_of[row]})
    return records


def as_record(record: Mapping[str, Any]) -> Record:
    """A record as `draw` and `findings` are given it."""
    timed = [
        timing for timing in record["timings"] if timing["status"] == "ok" and timing["device_ms"] is not None
    ]
    return Record(
        method=record["method"]["name"],
        parameters=record["method"]["parameters"],
        protocol_parameters=record["protocol"]["parameters"],
        data=record["data"]["name"],
        seed=record["seed"],
        role=record["role"],
        values=[_value(value) for value in record["values"]],
        label=record["label"],
        nfe=decode_float(record["nfe"]),
        device_ms=float(timed[-1]["device_ms"]) if timed else None,
    )


def _value(value: Mapping[str, Any]) -> Value:
    low, high = (decode_float(value[name]) for name in ("ci_low", "ci_high"))
    return Value(value["metric"], value["part"], number(value["value"]), value["n"], low, high)
