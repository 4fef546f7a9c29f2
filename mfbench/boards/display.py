"""Tables as a person reads them: frames of Markdown text, narrow enough for a web page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import pandas as pd

from mfbench.boards import numbers
from mfbench.boards.markdown import code, escape
from mfbench.boards.tables import Table, lines
from mfbench.contracts import Metric

MOST_COLUMNS = 6
"""Values side by side in one table of the other metrics."""

MOST_PARTS = 4
"""Parts of the primary metric that stand beside it in the main table; of more than these, their means."""

_ARROWS: Mapping[str | None, str] = {"higher": " ↑", "lower": " ↓", None: ""}
_FACTS = {"bound": "bound", "labels": "labels used", "deterministic": "deterministic"}
"""Facts about a method that belong beside its score, where its kind has them."""

_ENVIRONMENT = ("device", "dtype", "threads")


Texts = Mapping[tuple[str, str, str], str]
"""(row, metric, part) -> its number with interval."""


def main_table(
    table: Table, texts: Texts, registered: Mapping[str, Mapping[str, Any]]
) -> tuple[pd.DataFrame, list[str]]:
    """Rank, method, primary metric and its parts, coverage and costs; and the names of the number columns."""
    rows = lines(table.rows.reset_index(names="row"))
    shown: dict[str, Sequence[str]] = {"rank": [_rank(row) for row in rows]}
    shown |= row_names(table)
    right = ["rank"]
    if table.primary is not None:
        name = header(table.primary)
        shown[name] = _primary_cells(rows, texts, table.primary.name)
        right.append(name)
        for part in _main_parts(table):
            name = header(table.primary, part)
            shown[name] = [texts.get((row["row"], table.primary.name, part), numbers.ABSENT) for row in rows]
            right.append(name)
    shown["seeds"] = [code(row["failures"]) or str(row["asked"]) for row in rows]
    costs = _costs(rows, machine_letters(table.rows))
    shown |= costs
    shown |= _facts(rows, registered)
    shown["plugin"] = [escape(f"{row['plugin']} {row['plugin_version']}") for row in rows]
    return pd.DataFrame(shown), [*right, *costs]


def detail_tables(table: Table, texts: Texts) -> list[tuple[pd.DataFrame, list[str]]]:
    """The values that are not in the main table, a few columns at a time, for the same rows."""
    columns = [key for key in _value_columns(table) if not _in_main(table, *key)]
    names = row_names(table)
    tables = []
    for some in _side_by_side(columns):
        shown = {
            header(_metric(table, name), part): [
                texts.get((row, name, part), numbers.ABSENT) for row in table.rows.index
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


def _rank(row: Mapping[str, Any]) -> str:
    if row["standing"] == "ranked":
        return numbers.ranks(int(row["rank_low"]), int(row["rank_high"]))
    return numbers.ABSENT if row["standing"] == "unranked" else f"*{row['standing']}*"


def _primary_cells(rows: Sequence[Mapping[str, Any]], texts: Texts, metric: str) -> list[str]:
    """The primary value; bold where no method is shown to be better."""
    shown = []
    for row in rows:
        text = texts.get((row["row"], metric, ""), numbers.ABSENT)
        shown.append(f"**{text}**" if row["standing"] == "ranked" and row["rank_low"] == 1 else text)
    return shown


def value_texts(values: pd.DataFrame) -> Texts:
    """Every value of a table as it is shown."""
    columns = (values[name].tolist() for name in ("row", "metric", "part", "value", "ci_low", "ci_high"))
    return {
        (row, metric, part): numbers.with_interval(value, _known(low), _known(high))
        for row, metric, part, value, low, high in zip(*columns)
    }


def _side_by_side(columns: Sequence[tuple[str, str]]) -> list[list[tuple[str, str]]]:
    """Columns in tables of at most MOST_COLUMNS; a metric with its parts stays in one where it fits."""
    tables: list[list[tuple[str, str]]] = [[]]
    for _, group in groupby(columns, key=lambda column: column[0]):
        parts = list(group)
        if len(tables[-1]) + len(parts) > MOST_COLUMNS:
            tables.append([])
        for start in range(0, len(parts), MOST_COLUMNS):
            tables[-1] += parts[start : start + MOST_COLUMNS]
            if start + MOST_COLUMNS < len(parts):
                tables.append([])
    return [table for table in tables if table]


def _known(value: float) -> float | None:
    return None if value != value else float(value)  # NaN is not itself


def _value_columns(table: Table) -> list[tuple[str, str]]:
    """(metric, part) that any row has: metrics as the protocol lists them, parts as they first appear."""
    order = {metric.name: place for place, metric in enumerate(table.metrics)}
    present = table.values[["metric", "part"]].drop_duplicates()
    keys = [(str(metric), str(part)) for metric, part in present.itertuples(index=False)]
    return sorted(keys, key=lambda key: (order.get(key[0], len(order)), key[1] != ""))


def _main_parts(table: Table) -> list[str]:
    """The parts of the primary metric, where they are few enough to stand beside it."""
    primary = table.primary
    parts = [part for name, part in _value_columns(table) if primary and name == primary.name and part]
    return parts if len(parts) <= MOST_PARTS else [part for part in parts if part.endswith(" mean")]


def _in_main(table: Table, metric: str, part: str) -> bool:
    return table.primary is not None and metric == table.primary.name and part in ("", *_main_parts(table))


def _metric(table: Table, name: str) -> Metric:
    return next((metric for metric in table.metrics if metric.name == name), Metric(name, better=None))


def _costs(rows: Sequence[Mapping[str, Any]], letters: Mapping[str, str]) -> dict[str, list[str]]:
    """Columns of cost that at least one row has."""
    columns = {
        "NFE": [numbers.count(_known(row["nfe"])) for row in rows],
        "ms": [_timing(row, letters) for row in rows],
        "memory": [numbers.memory(_known(row["peak_memory_bytes"])) for row in rows],
        "parameters": [numbers.count(_known(row["parameter_count"])) for row in rows],
        "fit (s)": [numbers.seconds(_known(row["fit_s"])) for row in rows],
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
