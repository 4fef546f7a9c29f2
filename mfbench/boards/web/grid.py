"""A table as a page's grid: columns with anchors and keys to sort by, rows with cells and whiskers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import pandas as pd

from mfbench.boards import columns, numbers
from mfbench.boards.markdown import one_line
from mfbench.boards.slugs import slug
from mfbench.boards.tables import Table, lines
from mfbench.boards.web.aligning import Aligned, align
from mfbench.boards.web.whiskers import Forest, Whisker, forest
from mfbench.contracts import Metric

APART = {"ceiling": 0, "reference": 0, "control": 2}
"""Where a row stays however its table is sorted: above the methods (1) or below them."""

_COSTS = {
    "NFE": ("nfe", "network evaluations a sample"),
    "ms": ("device_ms", "milliseconds: median [inter-quartile range]"),
    "memory": ("peak_memory_bytes", "peak memory of the timed call"),
    "parameters": ("parameter_count", "numbers in the fitted model"),
    "fit (s)": ("fit_s", "mean seconds of training a seed"),
    "measured (s)": ("wall_s", "mean seconds of the protocol's work a seed, by the clock"),
}

Key = float | str | None


@dataclass(frozen=True)
class Column:
    """group: "name", "score", "part", "cost", "fact", "apart" (what separates ranks) or "other" (shown only
    when asked for).

    key: of its anchors, unique in the table; texts, keys: shown and sorted by, row by row; a key None
    sorts last either way. better: which way is sorted first. value: the metric and part shown, if any.
    """

    key: str
    title: str
    group: str
    hint: str
    numeric: bool
    better: str | None
    texts: Sequence[str]
    keys: Sequence[Key]
    value: tuple[str, str] | None = None


class Cell(NamedTuple):
    """What stands in a row under a column: `order` is its place on sorting, `aligned` its text."""

    column: Column
    order: str
    aligned: Aligned


class GridRow(NamedTuple):
    """`name`: the label as it is shown. `starts`: whether its protocol parameters differ from those of the
    row above."""

    id: str
    name: str
    label: str
    standing: str
    first: bool
    starts: bool
    cells: list[Cell]
    whisker: Whisker | None


@dataclass(frozen=True)
class Grid:
    """`filters`: the protocol's parameters in which rows differ, with the column's key and the values."""

    columns: list[Column]
    rows: list[GridRow]
    forest: Forest | None
    filters: dict[str, tuple[str, list[str]]]


def make_grid(table: Table, registered: Mapping[str, Mapping[str, Any]]) -> Grid:
    """All that the page shows of a table, in the board's order."""
    found = _with_unique_keys(list(_columns(table, registered)))
    drawn = forest(table)
    return Grid(found, list(_rows(table, found, drawn)), drawn, _filters(table, found))


def _columns(table: Table, registered: Mapping[str, Mapping[str, Any]]) -> Iterator[Column]:
    """Rank, names, score and its parts, coverage, costs, facts, and then the other metrics."""
    rows = lines(table.rows.reset_index(names="row"))
    yield Column("rank", "rank", "name", _RANK, True, "lower", list(map(columns.rank, rows)), _ranks(rows))
    for name, texts in columns.varying(table).items():
        yield _named(name, texts, "parameter of the protocol")
    yield _named("method", list(table.rows["name"]), "")
    for name, texts in columns.environment(table).items():
        yield _named(name, texts, "how the method was run")
    values = _Values(table)
    separator = table.separator
    if separator is not None:
        yield values.column(separator, "", "apart")
    if table.primary is not None:
        yield values.column(table.primary, "", "score")
        for part in columns.main_parts(table):
            yield values.column(table.primary, part, "part")
    yield _seeds(rows)
    for name, texts in columns.costs(rows, columns.machine_letters(table.rows)).items():
        source, hint = _COSTS[name]
        yield Column(
            slug(name), name, "cost", hint, True, "lower", texts, [_key(row[source]) for row in rows]
        )
    for name, texts in columns.facts(rows, registered).items():
        yield Column(slug(name), name, "fact", "", False, None, texts, texts)
    plugins = [one_line(f"{row['plugin']} {row['plugin_version']}") for row in rows]
    yield Column("plugin", "plugin", "fact", "who made the method", False, None, plugins, plugins)
    for name, part in columns.detail_columns(table):
        if separator is not None and (name, part) == (separator.name, ""):
            continue
        yield values.column(columns.metric_of(table, name), part, "other")


_RANK = "a rank interval: methods not told apart share it; – has no rank"


def _named(name: str, texts: list[str], hint: str) -> Column:
    """A column of names, on one line and without what cannot be seen; numbers among them sort by size."""
    texts = list(map(one_line, texts))
    sizes = [_size(text) for text in texts]
    numeric = all(size is not None for size in sizes)
    return Column(slug(name), name, "name", hint, numeric, "lower", texts, sizes if numeric else texts)


def _size(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _seeds(rows: Sequence[Mapping[str, Any]]) -> Column:
    texts = [row["failures"] or str(row["asked"]) for row in rows]
    keys = [_key(row["ok"]) for row in rows]
    return Column("seeds", "seeds", "fact", "seeds asked for, or what failed", True, "higher", texts, keys)


def _ranks(rows: Sequence[Mapping[str, Any]]) -> list[Key]:
    """By the best rank of the interval, then by the worst: the number of rows is the place after all."""
    return [_key(row["rank_low"] * 1e6 + row["rank_high"]) for row in rows]


class _Values:
    """The values of a table, column by column."""

    def __init__(self, table: Table) -> None:
        self.rows = list(table.rows.index)
        self.texts = columns.value_texts(table.values)
        named = zip(*(table.values[name].tolist() for name in ("row", "metric", "part", "value")))
        self.numbers = {(row, metric, part): value for row, metric, part, value in named}

    def column(self, metric: Metric, part: str, group: str) -> Column:
        """One metric, or a part of it."""
        cells = [(row, metric.name, part) for row in self.rows]
        texts = [self.texts.get(cell, numbers.ABSENT) for cell in cells]
        keys = [_key(self.numbers.get(cell)) for cell in cells]
        key = slug(f"{metric.name}-{part}") if part else slug(metric.name)
        title = columns.header(metric, part)
        shown = (metric.name, part)
        return Column(key, title, group, metric.description, True, metric.better, texts, keys, shown)


def _key(value: float | None) -> Key:
    return None if value is None or pd.isna(value) else float(value)


def _with_unique_keys(found: list[Column]) -> list[Column]:
    """Two names may be one slug: the later one carries its place."""
    taken: set[str] = set()
    unique = []
    for place, column in enumerate(found):
        key = column.key if column.key not in taken else f"{column.key}-{place}"
        taken.add(key)
        unique.append(replace(column, key=key))
    return unique


def _rows(table: Table, found: Sequence[Column], drawn: Forest | None) -> Iterator[GridRow]:
    aligned = [align(column.texts) if column.numeric else _plain(column.texts) for column in found]
    before = None
    for place, row in enumerate(lines(table.rows.reset_index(names="row"))):
        standing, whiskers = row["standing"], drawn.whiskers if drawn else {}
        group = APART.get(standing, 1)
        cells = [
            Cell(column, f"{group} {_order(column.keys[place])}", texts[place])
            for column, texts in zip(found, aligned)
        ]
        starts, before = before not in (None, row["block"]), row["block"]
        first = columns.is_first(row)
        names = one_line(row["name"]), one_line(row["label"])
        yield GridRow(row["row"], *names, standing, first, starts, cells, whiskers.get(row["row"]))


def _plain(texts: Sequence[str]) -> list[Aligned]:
    return [Aligned(text, "", "", "") for text in texts]


def _order(key: Key) -> str:
    """A key as a page's script reads it; "" for what sorts last."""
    if isinstance(key, float) and math.isinf(key):
        return "Infinity" if key > 0 else "-Infinity"
    return "" if key is None else str(key)


def _filters(table: Table, found: Sequence[Column]) -> dict[str, tuple[str, list[str]]]:
    shown = columns.varying(table)
    keys = {column.title: column.key for column in found if column.group == "name" and column.key != "rank"}
    return {name: (keys[name], list(dict.fromkeys(texts))) for name, texts in shown.items()}
