"""Records and comparisons -> tables: one a (protocol, data set), one row a method at equal parameters.

Everything here is pandas and numbers; how a table looks is decided in `display.py`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from mfbench.boards import ranking, rows, summaries
from mfbench.boards.bundle import Bundle
from mfbench.boards.cells import cell_frame, value_frame
from mfbench.boards.shorthand import Shorthand, make_shorthand, shorten, used_in
from mfbench.boards.slugs import slugs
from mfbench.contracts import Metric
from mfbench.errors import UserError
from mfbench.identity import canonical
from mfbench.plan.labels import Defaults, choice_label, value_label


@dataclass(frozen=True)
class Table:
    """One table of a board.

    metrics: of the protocol, as it was when the records were made; none where that is not known.
    constants: the protocol's parameters that all rows share and that are not at their defaults, as texts.
    varying: names of the parameters in which rows differ.
    rows: in the board's order, indexed by row id; see `rows.row_frame` and `ranking.rank` for the columns.
        The varying parameters are columns of texts called "parameter:<name>"; `name` is what a reader sees
        of `label`.
    legend: what the numbers in names stand for; see `shorthand.py`.
    values: one a (row, metric, part): mean over seeds, interval, rule; see `summaries.SUMMARY_COLUMNS`.
    rules: how the rows were compared, each with the number of comparisons.
    """

    slug: str
    protocol: str
    version: int
    data: str
    metrics: tuple[Metric, ...]
    workload: str
    constants: Mapping[str, str]
    varying: tuple[str, ...]
    rows: pd.DataFrame
    legend: Mapping[str, str]
    values: pd.DataFrame
    rules: Mapping[str, int]

    @property
    def primary(self) -> Metric | None:
        """The metric by which methods are ranked."""
        return next((metric for metric in self.metrics if metric.primary), None)

    @property
    def separator(self) -> Metric | None:
        """The metric in which methods must be equal to be ranked together."""
        return next((metric for metric in self.metrics if metric.separates), None)

    @property
    def title(self) -> str:
        return f"{self.protocol} on {self.data}"


def build(bundle: Bundle) -> list[Table]:
    """All tables of a board, in the order in which the suite asks for them."""
    if not bundle.records:
        return []
    cells = cell_frame(bundle.records)
    check_unmixed(cells)
    values = summaries.over_seeds(value_frame(bundle.records))
    metrics = {table: _metrics(bundle, cell) for table, cell in _first_cells(cells).items()}
    primaries = {table: next((m for m in found if m.primary), None) for table, found in metrics.items()}
    separators = {table: next((m for m in found if m.separates), None) for table, found in metrics.items()}
    named = rows.row_frame(cells, bundle.records)
    frame = ranking.rank(named, values, primaries, bundle.comparisons, separators)
    names = slugs({table: bundle.records[cell] for table, cell in _first_cells(cells).items()})
    tables = frame["table"]
    values_of = {str(key): part for key, part in values.groupby(values["row"].map(tables), sort=False)}
    rules_of = _rules(tables, bundle.comparisons)
    shorthand = make_shorthand(bundle.records, defaults_of(bundle.provenance))
    return [
        _table(
            names[key],
            part,
            summaries.in_range(values_of.get(key, values[:0]), metrics[key]),
            metrics[key],
            rules_of.get(key, {}),
            shorthand,
            bundle,
        )
        for key, part in ((str(key), part) for key, part in frame.groupby("table", sort=False))
    ]


def check_unmixed(cells: pd.DataFrame) -> None:
    """UserError where cells that would be ranked together were measured on different data under one name."""
    known = cells[cells["data_digest"] != ""]
    versions = known.groupby(["block", "seed"], sort=False)["data_digest"].nunique()
    if not (versions > 1).any():
        return
    block, seed = versions.index[versions > 1][0]
    name = json.loads(block)[1]["name"]
    raise UserError(
        f"board: data set {name!r} (seed {seed}) is there in {versions.max()} versions, which are not mixed "
        "in one table: `mfbench run SUITE` computes what is stale again"
    )


def lines(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a frame as plain values by column; several times as fast as pandas' `to_dict`."""
    columns = {str(name): frame[name].tolist() for name in frame.columns}
    return [dict(zip(columns, line)) for line in zip(*columns.values())]


def defaults_of(provenance: Mapping[str, Any]) -> Defaults:
    """The defaults of registered names as they were when the board was made; none for names unknown then."""
    registered: Mapping[str, Mapping[str, Any]] = provenance["registered"]
    return lambda kind, name: registered.get(f"{kind}/{name}", {}).get("defaults", {})


def _first_cells(cells: pd.DataFrame) -> dict[str, int]:
    """Number of each table's first cell."""
    first = cells.drop_duplicates("table")
    return dict(zip(first["table"], first.index))


def _about(bundle: Bundle, cell: int) -> Mapping[str, Any]:
    protocol = bundle.records[cell]["protocol"]
    found: Mapping[str, Any] = bundle.provenance["protocols"].get(
        f"{protocol['name']}/{protocol['version']}", {}
    )
    return found


def _metrics(bundle: Bundle, cell: int) -> tuple[Metric, ...]:
    return tuple(Metric(**metric) for metric in _about(bundle, cell).get("metrics", ()))


def _rules(tables: pd.Series, comparisons: list[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """Table -> rule -> number of comparisons made by it."""
    found: dict[str, dict[str, int]] = {}
    table_of = dict(tables)
    for line in comparisons:
        counts = found.setdefault(table_of.get(line["a_row"], ""), {})
        counts[line["rule"]] = counts.get(line["rule"], 0) + 1
    return found


def _table(
    slug: str,
    part: pd.DataFrame,
    values: pd.DataFrame,
    metrics: tuple[Metric, ...],
    rules: Mapping[str, int],
    shorthand: Shorthand,
    bundle: Bundle,
) -> Table:
    first = bundle.records[part["cell"].iloc[0]]
    defaults = defaults_of(bundle.provenance)
    names, varying = _split_parameters(part["parameters"])
    usual = defaults("protocol", first["protocol"]["name"])
    given = first["protocol"]["parameters"]
    part = part.assign(
        name=[shorten(label, shorthand) for label in part["label"]],
        **{
            f"parameter:{name}": [_text(each.get(name), defaults) for each in part["parameters"]]
            for name in varying
        },
    )
    return Table(
        slug=slug,
        protocol=first["protocol"]["name"],
        version=first["protocol"]["version"],
        data=choice_label(first["data"], defaults),
        metrics=metrics,
        workload=_about(bundle, part["cell"].iloc[0]).get("workload", ""),
        constants={
            name: _text(given.get(name), defaults)
            for name in names
            if name not in usual or canonical(usual[name]) != canonical(given.get(name))
        },
        varying=varying,
        rows=_in_order(part, varying),
        legend=used_in(part["name"], shorthand),
        values=values,
        rules=rules,
    )


def _split_parameters(parameters: pd.Series) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of the parameters that all rows share, and of those in which they differ."""
    names = sorted({name for each in parameters for name in each})
    seen = {name: {canonical(each.get(name)) for each in parameters} for name in names}
    shared = tuple(name for name in names if len(seen[name]) == 1)
    return shared, tuple(name for name in names if len(seen[name]) > 1)


def _text(value: Any, defaults: Defaults) -> str:
    """A parameter's value for a cell of its own: whole numbers without a point, lists without brackets."""
    if isinstance(value, list):
        return ", ".join(_text(item, defaults) for item in value) or "none"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value_label(value, defaults)


def _in_order(part: pd.DataFrame, varying: tuple[str, ...]) -> pd.DataFrame:
    """Blocks by their parameters, numbers by size; in one by standing, what separates, and place."""
    blocks = {
        block: tuple(_sort_key(parameters.get(name)) for name in varying)
        for block, parameters in zip(part["block"], part["parameters"])
    }
    order = {block: place for place, block in enumerate(sorted(blocks, key=lambda b: (blocks[b], b)))}
    part = part.assign(block_place=part["block"].map(order))
    return part.sort_values(["block_place", "standing_place", "separate", "place"], kind="stable")


def _sort_key(value: Any) -> tuple[int, float, str]:
    """Numbers by size, then everything else by its canonical text."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return (0, float(value), "")
    return (1, 0.0, canonical(value))
