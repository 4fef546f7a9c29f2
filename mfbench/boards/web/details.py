"""What a page tells of one row when asked: every value in full, the seeds, the parameters, the remarks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from mfbench.boards import columns
from mfbench.boards.bundle import Bundle
from mfbench.boards.markdown import one_line
from mfbench.boards.tables import Table, defaults_of, lines
from mfbench.boards.web.grid import Grid
from mfbench.identity import encode_float
from mfbench.plan.labels import value_label

_CELL_DIGITS = 12
_MESSAGE_LENGTH = 400

Record = Mapping[str, Any]


def script_data(table: Table, grid: Grid, bundle: Bundle) -> str:
    """JSON for a script element of the page: no "<" in it can end the element.

    `columns`: by key, title and what is measured; `rules`: how intervals were made; `rows` by row id.
    """
    keys = {column.value: column.key for column in grid.columns if column.value is not None}
    rules = list(dict.fromkeys(map(str, table.values["rule"])))
    values = _values(table, keys, rules)
    cells = _by_row(bundle.records, set(table.rows.index))
    rows = {
        row["row"]: _row(row, values.get(row["row"], []), cells.get(row["row"], []), table, bundle)
        for row in lines(table.rows.reset_index(names="row"))
    }
    titles = {
        key: {"title": columns.header(columns.metric_of(table, metric), part), "metric": metric, "part": part}
        for (metric, part), key in keys.items()
    }
    text = json.dumps({"columns": titles, "rules": rules, "rows": rows}, ensure_ascii=False, allow_nan=False)
    return text.replace("<", "\\u003c")


def _values(
    table: Table, keys: Mapping[tuple[str, str], str], rules: Sequence[str]
) -> dict[str, list[list[Any]]]:
    """Row -> [column's key, value, low, high, number of the rule, examples]."""
    found: dict[str, list[list[Any]]] = {}
    for line in lines(table.values):
        told = [_number(line[name]) for name in ("value", "ci_low", "ci_high")]
        n = None if columns.known(line["n"]) is None else int(line["n"])
        key = keys[line["metric"], line["part"]]
        found.setdefault(line["row"], []).append([key, *told, rules.index(str(line["rule"])), n])
    return found


def _number(value: float) -> float | str | None:
    return None if columns.known(value) is None else encode_float(float(value))


def _by_row(records: Sequence[Record], wanted: set[str]) -> dict[str, list[Record]]:
    found: dict[str, list[Record]] = {}
    for record in records:
        if record["row"] in wanted:
            found.setdefault(record["row"], []).append(record)
    return found


def _row(
    row: Mapping[str, Any], values: list[list[Any]], records: list[Record], table: Table, bundle: Bundle
) -> dict[str, Any]:
    method = row["method"]
    about = bundle.provenance["registered"].get(f"{method['kind']}/{method['name']}", {})
    protocol = {name: row[f"parameter:{name}"] for name in table.varying}
    return {
        "label": one_line(row["label"]),
        "standing": row["standing"],
        "rank": columns.rank(row),
        "kind": method["kind"],
        "summary": about.get("summary", ""),
        "reference": about.get("reference", ""),
        "plugin": f"{row['plugin']} {row['plugin_version']}".strip(),
        "parameters": {**_parameters(method, bundle), **protocol},
        "notes": [one_line(note, _MESSAGE_LENGTH) for note in row["notes"]],
        "failures": row["failures"],
        "reason": one_line(row["reason"], _MESSAGE_LENGTH),
        "controls": list(row["controls"]),
        "values": values,
        "seeds": [_seed(record, table) for record in records],
    }


def _parameters(method: Mapping[str, Any], bundle: Bundle) -> dict[str, str]:
    """The method's own, in full; references by their label."""
    defaults = defaults_of(bundle.provenance)
    return {name: value_label(value, defaults) for name, value in method["parameters"].items()}


def _seed(record: Record, table: Table) -> list[Any]:
    """[seed, status, primary value, cell]: `mfbench show CELL` tells the rest."""
    name = table.primary.name if table.primary else ""
    found = [v["value"] for v in record["values"] if v["metric"] == name and v["part"] == ""]
    value = found[0] if found else None
    return [record["seed"], record["status"], value, record["cell_id"][:_CELL_DIGITS]]
