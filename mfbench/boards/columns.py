"""What the columns of a table hold, as plain text: `display.py` makes Markdown of it, `web/` a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from mfbench.boards import numbers
from mfbench.boards.tables import Table
from mfbench.contracts import Metric

MOST_PARTS = 4
"""Parts of the primary metric that stand beside it in the main table; of more than these, their means."""

Row = Mapping[str, Any]
Texts = Mapping[tuple[str, str, str], str]
"""(row, metric, part) -> its number with interval."""

_ARROWS: Mapping[str | None, str] = {"higher": " ↑", "lower": " ↓", None: ""}
_FACTS = {"bound": "bound", "labels": "labels used", "deterministic": "deterministic"}
"""Facts about a method that belong beside its score, where its kind has them."""

_ENVIRONMENT = ("device", "dtype", "threads")


def header(metric: Metric, part: str = "") -> str:
    """`auroc circles ↑`, `distance (nats) ↓`: name, part, unit and which direction is better."""
    unit = f" ({metric.unit})" if metric.unit else ""
    of = f" {part}" if part else ""
    return f"{metric.name}{of}{unit}{_ARROWS[metric.better]}"


def rank(row: Row) -> str:
    """The rank interval of a ranked row, the standing of another, – of a method without rank."""
    if row["standing"] == "ranked":
        return numbers.ranks(int(row["rank_low"]), int(row["rank_high"]))
    return numbers.ABSENT if row["standing"] == "unranked" else str(row["standing"])


def is_first(row: Row) -> bool:
    """Whether no method is shown to be better than this one."""
    return bool(row["standing"] == "ranked" and row["rank_low"] == 1)


def varying(table: Table) -> dict[str, list[str]]:
    """The protocol's parameters in which rows differ."""
    return {name: list(table.rows[f"parameter:{name}"]) for name in table.varying}


def environment(table: Table) -> dict[str, list[str]]:
    """Device, dtype and threads, where rows differ in them."""
    rows = table.rows
    return {name: [str(v) for v in rows[name]] for name in _ENVIRONMENT if rows[name].nunique() > 1}


def value_texts(values: pd.DataFrame) -> Texts:
    """Every value of a table as it is shown."""
    columns = (values[name].tolist() for name in ("row", "metric", "part", "value", "ci_low", "ci_high"))
    return {
        (row, metric, part): numbers.with_interval(value, known(low), known(high))
        for row, metric, part, value, low, high in zip(*columns)
    }


def value_columns(table: Table) -> list[tuple[str, str]]:
    """(metric, part) that any row has: metrics as the protocol lists them, parts as they first appear."""
    order = {metric.name: place for place, metric in enumerate(table.metrics)}
    present = table.values[["metric", "part"]].drop_duplicates()
    keys = [(str(metric), str(part)) for metric, part in present.itertuples(index=False)]
    return sorted(keys, key=lambda key: (order.get(key[0], len(order)), key[1] != ""))


def main_parts(table: Table) -> list[str]:
    """The parts of the primary metric, where they are few enough to stand beside it."""
    primary = table.primary
    parts = [part for name, part in value_columns(table) if primary and name == primary.name and part]
    return parts if len(parts) <= MOST_PARTS else [part for part in parts if part.endswith(" mean")]


def detail_columns(table: Table) -> list[tuple[str, str]]:
    """(metric, part) of the values that are not in the main table."""
    main = [(table.primary.name, part) for part in ("", *main_parts(table))] if table.primary else []
    return [key for key in value_columns(table) if key not in main]


def metric_of(table: Table, name: str) -> Metric:
    """The protocol's metric of that name; one without unit or direction where it is not known."""
    return next((metric for metric in table.metrics if metric.name == name), Metric(name, better=None))


def costs(rows: Sequence[Row], letters: Mapping[str, str]) -> dict[str, list[str]]:
    """Columns of cost that at least one row has."""
    columns = {
        "NFE": [numbers.count(known(row["nfe"])) for row in rows],
        "ms": [timing(row, letters) for row in rows],
        "memory": [numbers.memory(known(row["peak_memory_bytes"])) for row in rows],
        "parameters": [numbers.count(known(row["parameter_count"])) for row in rows],
        "fit (s)": [numbers.seconds(known(row["fit_s"])) for row in rows],
        "measured (s)": [numbers.seconds(known(row["wall_s"])) for row in rows],
    }
    return {name: cells for name, cells in columns.items() if any(cell != numbers.ABSENT for cell in cells)}


def timing(row: Row, letters: Mapping[str, str]) -> str:
    """`12.3 [0.4]`: median and IQR; `[n = 1]` where one call took the whole budget; † where it was noisy."""
    if known(row["device_ms"]) is None:
        return numbers.ABSENT
    spread = "n = 1" if row["timing_n"] == 1 else numbers.milliseconds(known(row["device_ms_iqr"]))
    noisy = "" if row["timing_valid"] else " †"
    machine = f" {letters[row['machine']]}" if letters else ""
    return f"{numbers.milliseconds(row['device_ms'])} [{spread}]{noisy}{machine}"


def machine_letters(rows: pd.DataFrame) -> dict[str, str]:
    """Machine -> letter, where the timings of a table come from several; empty otherwise."""
    machines = sorted(machine for machine in rows["machine"].unique() if machine)
    return {machine: _letter(place) for place, machine in enumerate(machines)} if len(machines) > 1 else {}


def facts(rows: Sequence[Row], registered: Mapping[str, Mapping[str, Any]]) -> dict[str, list[str]]:
    """What a kind says of its methods beside their scores: columns that at least one row has."""
    methods = [row["method"] for row in rows]
    found = [registered.get(f"{m['kind']}/{m['name']}", {}).get("facts", {}) for m in methods]
    return {
        title: [_fact(each.get(name)) for each in found]
        for name, title in _FACTS.items()
        if any(each.get(name) is not None for each in found)
    }


def known(value: float) -> float | None:
    """A number of a frame; None for NaN."""
    return None if value != value else float(value)  # NaN is not itself


def _fact(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return numbers.ABSENT if value is None else str(value)


def _letter(place: int) -> str:
    return chr(ord("A") + place) if place < 26 else f"M{place + 1}"
