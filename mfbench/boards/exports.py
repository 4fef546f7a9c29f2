"""The tables as CSV (one line a row, one column a number) and JSON (everything)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import pandas as pd

from mfbench.boards.bundle import to_json, to_lines
from mfbench.boards.tables import Table, lines
from mfbench.identity import canonical, encode_float

_COVERAGE = ("asked", "ok", "failures", "reason")
_COSTS = (
    *("nfe", "device_ms", "device_ms_iqr", "timing_n", "timing_valid", "machine"),
    *("peak_memory_bytes", "parameter_count", "wall_s", "fit_s"),
)
_WHO = ("device", "dtype", "threads", "plugin", "plugin_version")
_WHOLE = ("rank_low", "rank_high", "asked", "ok", "timing_n", "peak_memory_bytes", "parameter_count")


def to_csv(table: Table) -> bytes:
    """Columns: rank, method, parameters of the protocol that vary, coverage, every value with its interval
    (`auroc`, `auroc:ci_low`, `auroc[circles]`, ...), costs, who made it."""
    rows = table.rows
    names = ["standing", "rank_low", "rank_high", "label"]
    frame = pd.concat(
        [
            rows[names].rename(columns={"label": "method"}),
            pd.Series(
                [canonical(method["parameters"]) for method in rows["method"]], rows.index, name="parameters"
            ),
            rows[[f"parameter:{name}" for name in table.varying]],
            rows[list(_COVERAGE)],
            _wide_values(table),
            rows[[*_COSTS, *_WHO]],
        ],
        axis="columns",
    )
    whole = [name for name in _WHOLE if name in frame.columns]
    frame = frame.astype({**dict.fromkeys(whole, "Int64"), "timing_valid": "object"})
    return frame.to_csv(index=False, lineterminator="\n").encode()


def to_json_table(table: Table) -> bytes:
    """The table with its metrics, parameters, and every row's values."""
    values = _values_by_row(table.values)
    about = {name: getattr(table, name) for name in ("protocol", "version", "data", "workload")}
    rows = [
        _json_row(row, values.get(row["row"], []), table)
        for row in lines(table.rows.reset_index(names="row"))
    ]
    head = {
        **about,
        "parameters": dict(table.constants),
        "metrics": [asdict(metric) for metric in table.metrics],
        "comparisons": dict(table.rules),
    }
    # One line a row: what changes from one board to the next is then seen line by line.
    body = to_lines(rows).decode().rstrip("\n").replace("\n", ",\n")
    opened = to_json(head).decode().removesuffix("\n}\n")
    return f'{opened},\n  "rows": [\n{body}\n  ]\n}}\n'.encode()


def _wide_values(table: Table) -> pd.DataFrame:
    names = [f"{metric}[{part}]" if part else metric for metric, part in zip(*_keys(table.values))]
    long = table.values.assign(column=names)
    wide = long.pivot(index="row", columns="column", values=["value", "ci_low", "ci_high"]).reindex(
        table.rows.index
    )
    ordered = [(kind, name) for name in dict.fromkeys(names) for kind in ("value", "ci_low", "ci_high")]
    wide = wide[ordered] if ordered else wide
    wide.columns = pd.Index([name if kind == "value" else f"{name}:{kind}" for kind, name in ordered])
    return wide


def _keys(values: pd.DataFrame) -> tuple[list[str], list[str]]:
    return list(values["metric"]), list(values["part"])


def _json_row(row: Mapping[str, Any], values: list[dict[str, Any]], table: Table) -> dict[str, Any]:
    ranked = row["standing"] == "ranked"
    plain = {name: _json_value(row[name], name in _WHOLE) for name in (*_COVERAGE, *_COSTS, *_WHO)}
    return {
        **plain,
        "label": row["label"],
        "method": row["method"],
        "protocol_parameters": {name: row["parameters"].get(name) for name in table.varying},
        "standing": row["standing"],
        "rank": [int(row["rank_low"]), int(row["rank_high"])] if ranked else None,
        "not_shown_to_beat": list(row["controls"]),
        "notes": list(row["notes"]),
        "values": values,
    }


def _values_by_row(values: pd.DataFrame) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for line in lines(values):
        whole = {"seeds": int(line["seeds"]), "n": _json_value(line["n"], True)}
        ends = {name: _json_value(line[name], False) for name in ("ci_low", "ci_high")}
        value = {"value": encode_float(float(line["value"]))}
        found.setdefault(line.pop("row"), []).append({**line, **whole, **ends, **value})
    return found


def _json_value(value: Any, whole: bool) -> Any:
    """Missing is null, infinities are strings, counts are whole."""
    if not isinstance(value, str) and pd.isna(value):
        return None
    if isinstance(value, float):
        return int(value) if whole else encode_float(value)
    return value.item() if hasattr(value, "item") else value
