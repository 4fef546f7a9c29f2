"""Who is better than whom: rank intervals within each block, from comparisons that were made before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from mfbench.contracts import Metric
from mfbench.measures.comparison import rank_intervals

STANDINGS = ("ceiling", "reference", "ranked", "unranked", "control")
"""From top to bottom of a block. "unranked": a method without a value, or with seeds that failed."""

ALPHA = 0.05


def rank(
    rows: pd.DataFrame,
    values: pd.DataFrame,
    primaries: Mapping[str, Metric | None],
    comparisons: Sequence[Mapping[str, Any]],
    separators: Mapping[str, Metric | None] | None = None,
) -> pd.DataFrame:
    """`rows` with `primary` (the value ranked by), `standing`, `rank_low` and `rank_high` (NaN where
    unranked), `place` (order by value) and `controls`: those of its block that a ranked method is not shown
    to beat. `separate`: a method's value of the metric that separates ranks, by table in `separators`; NaN
    where there is none, and for ceilings, references and controls.
    """
    rows = rows.assign(primary=_values_of(rows, values, primaries))
    rows["separate"] = _values_of(rows, values, separators or {}).where(rows["role"] == "method")
    better = rows["table"].map(lambda table: _better(primaries.get(table)))
    rows["standing"] = _standings(rows, better)
    rows["standing_place"] = rows["standing"].map({name: place for place, name in enumerate(STANDINGS)})
    rows["place"] = _places(rows, better)
    lines = _by_block(rows, comparisons)
    found: dict[str, tuple[float, float, tuple[str, ...]]] = {}
    for key, block in rows.groupby("block", sort=False):
        direction = _better(primaries.get(block["table"].iloc[0]))
        if direction is not None:
            for part in _apart(block):
                found |= _rank_block(part, lines.get(str(key), ()), direction)
    unranked = (np.nan, np.nan, ())
    lows, highs, controls = zip(*(found.get(row, unranked) for row in rows.index), strict=True)
    return rows.assign(rank_low=lows, rank_high=highs, controls=controls)


def _apart(block: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """The parts of a block whose methods are ranked together, each with all that is not a method."""
    common = block["role"] != "method"
    for value in block.loc[~common, "separate"].drop_duplicates():
        same = block["separate"].isna() if value != value else block["separate"] == value
        yield block[common | same]


def _values_of(rows: pd.DataFrame, values: pd.DataFrame, metrics: Mapping[str, Metric | None]) -> pd.Series:
    """Each row's value of its table's metric, with part ""; NaN where it has none."""
    names = {table: metric.name for table, metric in metrics.items() if metric}
    wanted = values["row"].map(rows["table"]).map(names)
    found = values[(values["part"] == "") & (values["metric"] == wanted)]
    return found.set_index("row")["value"].reindex(rows.index).astype(float)


def _better(metric: Metric | None) -> Literal["higher", "lower"] | None:
    return metric.better if metric else None


def _standings(rows: pd.DataFrame, better: pd.Series) -> pd.Series:
    complete = (rows["ok"] == rows["asked"]) & np.isfinite(rows["primary"]) & better.notna()
    standing = rows["role"].where(rows["role"] != "method", "unranked")
    return standing.mask((rows["role"] == "method") & complete, "ranked")


def _places(rows: pd.DataFrame, better: pd.Series) -> pd.Series:
    """Position by value over the whole board, the best first; ties and absent values by label."""
    best_first = rows["primary"].where(better != "higher", -rows["primary"])
    order = rows.assign(best_first=best_first).sort_values(["best_first", "label"], kind="stable").index
    return pd.Series(np.arange(len(rows)), index=order).reindex(rows.index)


def _by_block(
    rows: pd.DataFrame, comparisons: Sequence[Mapping[str, Any]]
) -> dict[str, list[Mapping[str, Any]]]:
    """The comparisons that could be made, by block."""
    block_of = dict(zip(rows.index, rows["block"]))
    grouped: dict[str, list[Mapping[str, Any]]] = {}
    for line in comparisons:
        if line["a_row"] in block_of and line["p_holm"] is not None:
            grouped.setdefault(block_of[line["a_row"]], []).append(line)
    return grouped


def _rank_block(
    block: pd.DataFrame, comparisons: Sequence[Mapping[str, Any]], better: Literal["higher", "lower"]
) -> dict[str, tuple[float, float, tuple[str, ...]]]:
    """Row -> best rank, worst rank, labels of the controls it is not shown to beat; for the ranked rows."""
    ranked = block.index[block["standing"] == "ranked"]
    if ranked.empty:
        return {}
    controls = block[(block["standing"] == "control") & (block["ok"] > 0)]
    difference, p_value = _matrices([*ranked, *controls.index], comparisons)
    k = len(ranked)
    ranks = rank_intervals(difference[:k, :k], p_value[:k, :k], better, ALPHA)
    ahead = difference > 0 if better == "higher" else difference < 0
    beats = (ahead & (p_value < ALPHA))[:k, k:]
    labels = controls["label"].tolist()
    unbeaten = [tuple(label for label, won in zip(labels, line) if not won) for line in beats.tolist()]
    return {row: (float(low), float(high), names) for row, (low, high), names in zip(ranked, ranks, unbeaten)}


def _matrices(
    entrants: Sequence[str], comparisons: Sequence[Mapping[str, Any]]
) -> tuple[np.ndarray, np.ndarray]:
    """Differences (row minus column) and Holm-adjusted p of all pairs; p = 1 where none was compared."""
    size = len(entrants)
    position = {row: place for place, row in enumerate(entrants)}
    difference, p_value = np.zeros((size, size)), np.ones((size, size))
    for line in comparisons:
        a, b = position.get(line["a_row"]), position.get(line["b_row"])
        if a is not None and b is not None:
            gap = float(line["difference"])
            difference[a, b], difference[b, a] = gap, -gap
            p_value[a, b] = p_value[b, a] = line["p_holm"]
    return difference, p_value
