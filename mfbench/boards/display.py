"""Tables as a person reads them: frames of Markdown text, narrow enough for a web page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from mfbench.boards import numbers
from mfbench.boards.markdown import code, escape
from mfbench.boards.tables import Table
from mfbench.contracts import Metric

MOST_COLUMNS = 6
"""Values side by side in one table of the other metrics."""

_ARROWS: Mapping[str | None, str] = {"higher": " ↑", "lower": " ↓", None: ""}
_FACTS = {"bound": "bound", "labels": "labels used", "deterministic": "deterministic"}
"""Facts about a method that belong beside its score, where its kind has them."""

_ENVIRONMENT = ("device", "dtype", "threads")


def main_table(table: Table, registered: Mapping[str, Mapping[str, Any]]) -> tuple[pd.DataFrame, list[str]]:
    """Rank, method, primary metric, coverage and costs; and the names of the columns of numbers."""
    rows = _lines(table.rows)
    shown: dict[str, Sequence[str]] = {"rank": [_rank(row) for row in rows]}
    shown |= row_names(table)
    right = ["rank"]
    if table.primary is not None:
        name = header(table.primary)
        shown[name] = _primary_cells(table)
        right.append(name)
    shown["seeds"] = [code(row["failures"]) or str(row["asked"]) for row in rows]
    costs = _costs(rows, machine_letters(table.rows))
    shown |= costs
    shown |= _facts(rows, registered)
    shown["plugin"] = [escape(f"{row['plugin']} {row['plugin_version']}") for row in rows]
    return pd.DataFrame(shown), [*right, *costs]


def detail_tables(table: Table) -> list[tuple[pd.DataFrame, list[str]]]:
    """All values but the primary one, a few columns at a time, for the same rows."""
    columns = [key for key in _value_columns(table) if not _is_primary(table, *key)]
    cells = _cells(table.values)
    names = row_names(table)
    tables = []
    for start in range(0, len(columns), MOST_COLUMNS):
        some = columns[start : start + MOST_COLUMNS]
        shown = {
            header(_metric(table, name), part): [
                cells.get((row, name, part), numbers.ABSENT) for row in table.rows.index
            ]
            for name, part in some
        }
        tables.append((pd.DataFrame({**names, **shown}), list(shown)))
    return tables


def header(metric: Metric, part: str = "") -> str:
    """`auroc circles ↑`, `distance (nats) ↓`: name, part, unit and which direction is better."""
    unit = f" ({escape(metric.unit)})" if metric.unit else ""
    of = f" {escape(part)}" if part else ""
    return f"{escape(metric.name)}{of}{unit}{_ARROWS[metric.better]}"


def row_names(table: Table) -> dict[str, list[str]]:
    """What tells one row from another: varying parameters of the protocol, the method, and how it was run."""
    rows = table.rows
    names = {escape(name): [escape(text) for text in rows[f"parameter:{name}"]] for name in table.varying}
    names["method"] = [escape(label) for label in rows["label"]]
    for name in _ENVIRONMENT:
        if rows[name].nunique() > 1:
            names[name] = [escape(value) for value in rows[name]]
    return names


def machine_letters(rows: pd.DataFrame) -> dict[str, str]:
    """Machine -> letter, where the timings of a table come from several; empty otherwise."""
    machines = sorted(machine for machine in rows["machine"].unique() if machine)
    return {machine: _letter(place) for place, machine in enumerate(machines)} if len(machines) > 1 else {}


def _lines(rows: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in rows.to_dict("records")]


def _rank(row: Mapping[str, Any]) -> str:
    if row["standing"] == "ranked":
        return numbers.ranks(int(row["rank_low"]), int(row["rank_high"]))
    return numbers.ABSENT if row["standing"] == "unranked" else f"*{row['standing']}*"


def _primary_cells(table: Table) -> list[str]:
    """The primary value; bold where no method is shown to be better."""
    cells = _cells(table.values)
    name = table.primary.name if table.primary else ""
    shown = []
    for row, standing, low in zip(table.rows.index, table.rows["standing"], table.rows["rank_low"]):
        text = cells.get((row, name, ""), numbers.ABSENT)
        shown.append(f"**{text}**" if standing == "ranked" and low == 1 else text)
    return shown


def _cells(values: pd.DataFrame) -> dict[tuple[str, str, str], str]:
    """(row, metric, part) -> number with interval."""
    columns = (values[name] for name in ("row", "metric", "part", "value", "ci_low", "ci_high"))
    return {
        (row, metric, part): numbers.with_interval(value, _known(low), _known(high))
        for row, metric, part, value, low, high in zip(*columns)
    }


def _known(value: float) -> float | None:
    return None if value != value else float(value)  # NaN is not itself


def _value_columns(table: Table) -> list[tuple[str, str]]:
    """(metric, part) that any row has: metrics as the protocol lists them, parts as they first appear."""
    order = {metric.name: place for place, metric in enumerate(table.metrics)}
    present = table.values[["metric", "part"]].drop_duplicates()
    keys = [(str(metric), str(part)) for metric, part in present.itertuples(index=False)]
    return sorted(keys, key=lambda key: (order.get(key[0], len(order)), key[1] != ""))


def _is_primary(table: Table, metric: str, part: str) -> bool:
    return table.primary is not None and (metric, part) == (table.primary.name, "")


def _metric(table: Table, name: str) -> Metric:
    return next((metric for metric in table.metrics if metric.name == name), Metric(name, better=None))


def _costs(rows: Sequence[Mapping[str, Any]], letters: Mapping[str, str]) -> dict[str, list[str]]:
    """Columns of cost that at least one row has."""
    columns = {
        "NFE": [numbers.count(_known(row["nfe"])) for row in rows],
        "ms": [_timing(row, letters) for row in rows],
        "memory": [numbers.memory(_known(row["peak_memory_bytes"])) for row in rows],
        "parameters": [numbers.count(_known(row["parameter_count"])) for row in rows],
        "fit (s)": [numbers.plain(_known(row["fit_s"]), 3) for row in rows],
    }
    return {name: cells for name, cells in columns.items() if any(cell != numbers.ABSENT for cell in cells)}


def _timing(row: Mapping[str, Any], letters: Mapping[str, str]) -> str:
    """`12.3 [0.4]`: median and IQR; `[n = 1]` where one call took the whole budget; † where it was noisy."""
    if _known(row["device_ms"]) is None:
        return numbers.ABSENT
    spread = "n = 1" if row["timing_n"] == 1 else numbers.milliseconds(_known(row["device_ms_iqr"]))
    noisy = "" if row["timing_valid"] else " †"
    machine = f" {letters[row['machine']]}" if letters else ""
    return f"{numbers.milliseconds(row['device_ms'])} \\[{spread}\\]{noisy}{machine}"


def _facts(
    rows: Sequence[Mapping[str, Any]], registered: Mapping[str, Mapping[str, Any]]
) -> dict[str, list[str]]:
    methods = [row["method"] for row in rows]
    facts = [registered.get(f"{m['kind']}/{m['name']}", {}).get("facts", {}) for m in methods]
    return {
        title: [escape(_fact(each.get(name))) for each in facts]
        for name, title in _FACTS.items()
        if any(each.get(name) is not None for each in facts)
    }


def _fact(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return numbers.ABSENT if value is None else str(value)


def _letter(place: int) -> str:
    return chr(ord("A") + place) if place < 26 else f"M{place + 1}"
