"""The results as a pandas frame, with the columns of the documentation and no others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

import pandas as pd

from mfbench.identity import canonical, decode_float

COLUMNS = (
    *("run_id", "cell_id", "cache_key", "suite", "protocol", "data", "kind", "method", "parameters", "seed"),
    *("status", "metric", "part", "value", "unit", "better", "ci_low", "ci_high", "n", "device", "dtype"),
    *("threads", "device_ms", "device_ms_iqr", "timing_n", "wall_s", "fit_s", "nfe", "peak_memory_bytes"),
    *("parameter_count", "plugin", "plugin_version", "error", "started", "ended"),
)
"""`parameters` is canonical JSON of the method's parameters; `device_ms` and its companions are the newest
timing of the cell; `error` is "type: message"."""


class Readable(Protocol):
    """What a frame is made from: a store, or whatever answers these questions as one does."""

    def results(
        self, cell_ids: Iterable[str] | None = None, *, cache_keys: Iterable[str] | None = None
    ) -> Mapping[str, dict[str, Any]]: ...

    def suite_cells(self, suite: str) -> Mapping[str, str]: ...

    def runs(self) -> Mapping[str, dict[str, Any]]: ...

    def timings(self) -> list[dict[str, Any]]: ...

    def protocols(self) -> Mapping[tuple[str, int], dict[str, Any]]: ...


_TYPES = {
    **dict.fromkeys(("seed", "threads"), "int64"),
    **dict.fromkeys(("n", "timing_n", "peak_memory_bytes", "parameter_count"), "Int64"),
    **dict.fromkeys(
        ("value", "ci_low", "ci_high", "device_ms", "device_ms_iqr", "wall_s", "fit_s", "nfe"), "float64"
    ),
}
_NO_VALUE = {"metric": "", "part": "", "value": None, "n": None, "ci_low": None, "ci_high": None}


def results_frame(store: Readable, suite: str | None) -> pd.DataFrame:
    """See `StoreReader.frame`."""
    rows = [[row[name] for name in COLUMNS] for row in _rows(store, suite)]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(_TYPES)


def _rows(store: Readable, suite: str | None) -> Iterator[dict[str, Any]]:
    keys = None if suite is None else store.suite_cells(suite).values()
    records = store.results(cache_keys=keys)
    suites = {run_id: run["suite"] for run_id, run in store.runs().items()}
    timings = {timing["cache_key"]: timing for timing in store.timings() if timing["status"] == "ok"}
    metrics = _metrics(store)
    for record in records.values():
        common = _common(record, timings.get(record["cache_key"]))
        common["suite"] = suite or suites.get(record["run_id"], "")
        of_protocol = metrics.get((record["protocol"]["name"], record["protocol"]["version"]), {})
        for value in record["values"] or [_NO_VALUE]:
            metric = of_protocol.get(value["metric"], {})
            yield {**common, **_value(value), "unit": metric.get("unit", ""), "better": metric.get("better")}


def _metrics(store: Readable) -> dict[tuple[str, int], dict[str, dict[str, Any]]]:
    return {
        key: {metric["name"]: metric for metric in protocol["metrics"]}
        for key, protocol in store.protocols().items()
    }


def _common(record: dict[str, Any], timing: dict[str, Any] | None) -> dict[str, Any]:
    error = record["error"]
    return {
        **record,
        "protocol": record["protocol"]["name"],
        "data": record["data"]["name"],
        "kind": record["method"]["kind"],
        "method": record["method"]["name"],
        "parameters": canonical(record["method"]["parameters"]),
        "error": "" if error is None else f"{error['type']}: {error['message']}",
        "device_ms": timing and timing["device_ms"],
        "device_ms_iqr": timing and timing["device_ms_iqr"],
        "timing_n": timing and timing["timing_n"],
    }


def _value(value: dict[str, Any]) -> dict[str, Any]:
    floats = {name: decode_float(value[name]) for name in ("value", "ci_low", "ci_high")}
    return {**value, **floats}
