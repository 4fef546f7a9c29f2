"""Tables as a person reads them: frames of Markdown text, narrow enough for a web page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import pandas as pd

from mfbench.boards import columns, numbers
from mfbench.boards.columns import Texts
from mfbench.boards.markdown import code, escape
from mfbench.boards.tables import Table, lines

MOST_COLUMNS = 6
"""Values side by side in one table of the other metrics."""


def main_table(
    table: Table, texts: Texts, registered: Mapping[str, Mapping[str, Any]]
) -> tuple[pd.DataFrame, list[str]]:
    """Rank, method, primary metric and its parts, coverage and costs; and the names of the number columns."""
    rows = lines(table.rows.reset_index(names="row"))
    shown: dict[str, Sequence[str]] = {"rank": [_rank(row) for row in rows]}
    shown |= row_names(table)
    right = ["rank"]
    if table.separator is not None:
        name = escape(columns.header(table.separator))
        shown[name] = _plain_cells(table, table.separator.name)
        right.append(name)
    if table.primary is not None:
        name = escape(columns.header(table.primary))
        shown[name] = _primary_cells(rows, texts, table.primary.name)
        right.append(name)
        for part in columns.main_parts(table):
            name = escape(columns.header(table.primary, part))
            shown[name] = [texts.get((row["row"], table.primary.name, part), numbers.ABSENT) for row in rows]
            right.append(name)
    shown["seeds"] = [code(row["failures"]) or str(row["asked"]) for row in rows]
    costs = columns.costs(rows, columns.machine_letters(table.rows))
    shown |= {name: [cell.replace("[", "\\[").replace("]", "\\]") for cell in costs[name]] for name in costs}
    facts = columns.facts(rows, registered)
    shown |= {title: [escape(cell) for cell in cells] for title, cells in facts.items()}
    shown["plugin"] = [escape(f"{row['plugin']} {row['plugin_version']}") for row in rows]
    return pd.DataFrame(shown), [*right, *costs]


def _plain_cells(table: Table, metric: str) -> list[str]:
    """The metric of each row without an interval: a fact about the method and no measurement."""
    values = table.values[(table.values["metric"] == metric) & (table.values["part"] == "")]
    known = dict(zip(values["row"], values["value"]))
    return [f"{known[row]:.3g}" if row in known else numbers.ABSENT for row in table.rows.index]


def detail_tables(table: Table, texts: Texts) -> list[tuple[pd.DataFrame, list[str]]]:
    """The values that are not in the main table, a few columns at a time, for the same rows."""
    names = row_names(table)
    tables = []
    for some in _side_by_side(columns.detail_columns(table)):
        shown = {
            escape(columns.header(columns.metric_of(table, name), part)): [
                texts.get((row, name, part), numbers.ABSENT) for row in table.rows.index
            ]
            for name, part in some
        }
        tables.append((pd.DataFrame({**names, **shown}), list(shown)))
    return tables


def row_names(table: Table) -> dict[str, list[str]]:
    """What tells one row from another: varying parameters of the protocol, the method, and how it was run."""
    told = {**columns.varying(table), "method": list(table.rows["name"]), **columns.environment(table)}
    return {escape(name): [escape(text) for text in texts] for name, texts in told.items()}


def _rank(row: Mapping[str, Any]) -> str:
    text = columns.rank(row)
    return text if row["standing"] in ("ranked", "unranked") else f"*{text}*"


def _primary_cells(rows: Sequence[Mapping[str, Any]], texts: Texts, metric: str) -> list[str]:
    """The primary value; bold where no method is shown to be better."""
    shown = []
    for row in rows:
        text = texts.get((row["row"], metric, ""), numbers.ABSENT)
        shown.append(f"**{text}**" if columns.is_first(row) else text)
    return shown


def _side_by_side(keys: Sequence[tuple[str, str]]) -> list[list[tuple[str, str]]]:
    """Columns in tables of at most MOST_COLUMNS; a metric with its parts stays in one where it fits."""
    tables: list[list[tuple[str, str]]] = [[]]
    for _, group in groupby(keys, key=lambda key: key[0]):
        parts = list(group)
        if len(tables[-1]) + len(parts) > MOST_COLUMNS:
            tables.append([])
        for start in range(0, len(parts), MOST_COLUMNS):
            tables[-1] += parts[start : start + MOST_COLUMNS]
            if start + MOST_COLUMNS < len(parts):
                tables.append([])
    return [table for table in tables if table]
