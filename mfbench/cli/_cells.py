"""Prints a computed cell: what was asked, what came of it, and why where it failed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mfbench.cli._tables import heading, print_table
from mfbench.plan.labels import plain_label

_SHOWN_APART = {"protocol", "method", "data", "cell_id", "values", "error", "timings", "notes", "label"}


def print_cell(record: Mapping[str, Any]) -> None:
    """Print a record as `Store.record` gives it."""
    print(heading(f"cell {record['cell_id']}"))
    print_table([(part, plain_label(record[part])) for part in ("protocol", "method", "data")])
    facts = {key: value for key, value in record.items() if key not in _SHOWN_APART and value is not None}
    print_table([(key, value if isinstance(value, str) else as_toml(value)) for key, value in facts.items()])
    _print_values(record["values"])
    _print_timings(record["timings"])
    for note in record["notes"]:
        print(f"note: {note}")
    _print_error(record["error"])


def as_toml(value: Any) -> str:
    """A value as a suite would have it; nothing is `none`."""
    return "none" if value is None else json.dumps(value, ensure_ascii=False)


def _print_values(values: list[Mapping[str, Any]]) -> None:
    if values:
        print("\n" + heading("values"))
        print_table(
            (value["metric"], value["part"], as_toml(value["value"]), _interval(value), f"n = {value['n']}")
            for value in values
        )


def _interval(value: Mapping[str, Any]) -> str:
    low, high = value["ci_low"], value["ci_high"]
    return "" if low is None or high is None else f"[{low}, {high}]"


def _print_timings(timings: list[Mapping[str, Any]]) -> None:
    if timings:
        print("\n" + heading("timings"))
        print_table(_timing_row(timing) for timing in timings)


def _timing_row(timing: Mapping[str, Any]) -> tuple[str, str, str, str]:
    noisy = "" if timing["valid"] else "too noisy to believe"
    spread = f"{as_toml(timing['device_ms'])} ms, IQR {as_toml(timing['device_ms_iqr'])} ms"
    return timing["machine"], timing["status"], f"{spread}, n = {timing['timing_n']}", noisy


def _print_error(error: Mapping[str, Any] | None) -> None:
    if error:
        print("\n" + heading("error"))
        print(f"{error['type']}: {error['message']}")
        if error.get("traceback"):
            print(error["traceback"].rstrip())
