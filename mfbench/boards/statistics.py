"""Pairwise comparisons of a board, by the rule of `mfbench.measures.comparison`, with Holm over the board.

Compared are, within a block, the complete methods with each other and with the controls, by the primary
metric. A pair is compared by its per-example scores where both have them; else by a comparison that was
imported with their records, where there is one; else by seed-paired t. The rule used stands in every line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from mfbench.boards.cells import cell_frame
from mfbench.identity import derive_seed, encode_float, sha256_of
from mfbench.measures import comparison

MOST_BY_EXAMPLE = 40
"""Blocks with more entrants than this are compared by seed-paired t alone, all pairs at once."""

Scores = Mapping[str, Mapping[str, np.ndarray]]
ScoresOf = Callable[[Sequence[str]], Scores]
"""cache keys -> cache key -> group -> per-example scores, of those that have some."""
Known = Mapping[tuple[str, str], Mapping[str, Any]]
"""(a_key, b_key) -> an imported comparison's line."""

_COPIED = ("difference", "ci_low", "ci_high", "p", "rule", "seeds")


def compare(
    records: Sequence[Mapping[str, Any]],
    primaries: Mapping[tuple[str, int], str],
    scores_of: ScoresOf,
    known: Known,
) -> list[dict[str, Any]]:
    """The lines of `comparisons.jsonl`.

    primaries: (protocol, version) -> name of the primary metric. `difference` is a minus b; `p_holm` is
    adjusted over all comparisons that could be made; p is null where none could (one seed and no scores).
    """
    if not records:
        return []
    lines = [
        line for block in _blocks(records, primaries) for line in _compare_block(block, scores_of, known)
    ]
    made = [line for line in lines if line["p"] is not None]
    for line, adjusted in zip(made, comparison.holm([line["p"] for line in made])):
        line["p_holm"] = float(adjusted)
    return lines


class _Block:
    """Methods and controls at equal protocol parameters: values by seed, and the keys of their results."""

    def __init__(
        self, metric: str, part: pd.DataFrame, values: Mapping[int, float], about: Mapping[str, Any]
    ) -> None:
        self.metric = metric
        self.about = about
        self.rows = list(dict.fromkeys(part["row"]))
        self.label = dict(zip(part["row"], part["label"]))
        self.role = dict(zip(part["row"], part["role"]))
        self.cells: dict[str, dict[int, tuple[float, str]]] = {row: {} for row in self.rows}
        for cell, row, seed, key in zip(part.index, part["row"], part["seed"], part["cache_key"]):
            self.cells[row][seed] = (values[cell], key)
        # What a comparison was made of: the results of both sides, whatever computer they lie on.
        self.key = {
            row: sha256_of(sorted(key for _, key in self.cells[row].values()))[:16] for row in self.rows
        }

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Method with method, and method with control; control with control says nothing."""
        for a, b in combinations(self.rows, 2):
            if self.role[a] == "method":
                yield a, b
            elif self.role[b] == "method":
                yield b, a

    def cache_keys(self) -> list[str]:
        return [key for cells in self.cells.values() for _, key in cells.values()]

    def line(self, a: str, b: str, found: Mapping[str, Any]) -> dict[str, Any]:
        names = {"a": self.label[a], "b": self.label[b], "a_row": a, "b_row": b}
        keys = {"a_key": self.key[a], "b_key": self.key[b], "metric": self.metric, "p_holm": None}
        return {**self.about, **names, **keys, **found}


def _blocks(
    records: Sequence[Mapping[str, Any]], primaries: Mapping[tuple[str, int], str]
) -> Iterator[_Block]:
    cells = cell_frame(records)
    complete = (cells["status"] == "ok").groupby(cells["row"]).transform("all")
    entrants = cells[complete & cells["role"].isin(["method", "control"])]
    for _, part in entrants.groupby("block", sort=False):
        first = records[part.index[0]]
        protocol = first["protocol"]
        metric = primaries.get((protocol["name"], protocol["version"]))
        if metric is None:
            continue
        values = {cell: _value(records[cell], metric) for cell in part.index}
        with_value = pd.Series(values).notna().groupby(part["row"]).transform("all")
        about = {
            "protocol": protocol["name"],
            "version": protocol["version"],
            "parameters": protocol["parameters"],
            "data": {"name": first["data"]["name"], "parameters": first["data"]["parameters"]},
        }
        yield _Block(metric, part[with_value], values, about)


def _value(record: Mapping[str, Any], metric: str) -> float:
    for value in record["values"]:
        if value["metric"] == metric and value["part"] == "":
            return float(value["value"])
    return float("nan")


def _compare_block(block: _Block, scores_of: ScoresOf, known: Known) -> Iterator[dict[str, Any]]:
    small = len(block.rows) <= MOST_BY_EXAMPLE
    scores = scores_of(block.cache_keys()) if small else {}
    by_seed = _by_seed(block)
    for a, b in block.pairs():
        found = _by_example(block, a, b, scores) if scores else None
        yield block.line(a, b, found or _imported(block, a, b, known) or by_seed(a, b))


def _by_example(block: _Block, a: str, b: str, scores: Scores) -> dict[str, Any] | None:
    """By per-example scores over the seeds that both have; None where they do not pair."""
    seeds = sorted(block.cells[a].keys() & block.cells[b].keys())
    left, right = (
        [(value, scores.get(key, {})) for value, key in (block.cells[row][seed] for seed in seeds)]
        for row in (a, b)
    )
    if not seeds or not all(groups for _, groups in [*left, *right]):
        return None
    rng = np.random.default_rng(derive_seed("compare", a, b))
    found = comparison.paired_difference(left, right, rng)
    rule = found.method
    if not rule.startswith(("paired bootstrap", "identical")):
        return None
    return {
        "difference": encode_float(found.difference),
        "ci_low": encode_float(found.low),
        "ci_high": encode_float(found.high),
        "p": found.p_value,
        "rule": rule,
        "seeds": len(seeds),
    }


def _imported(block: _Block, a: str, b: str, known: Known) -> dict[str, Any] | None:
    """A comparison that came with the records, made of exactly these results."""
    line = known.get((block.key[a], block.key[b]))
    return None if line is None else {name: line[name] for name in _COPIED}


def _by_seed(block: _Block) -> Callable[[str, str], dict[str, Any]]:
    """Seed-paired t of all pairs at once; what is given back looks one of them up."""
    seeds = sorted({seed for cells in block.cells.values() for seed in cells})
    missing = (float("nan"), "")
    values = np.array([[block.cells[row].get(seed, missing)[0] for seed in seeds] for row in block.rows])
    difference, low, high, p_value = comparison.paired_t_matrix(values.reshape(len(block.rows), len(seeds)))
    there = np.isfinite(values).reshape(difference.shape[0], -1).astype(int)
    count = there @ there.T
    place = {row: index for index, row in enumerate(block.rows)}

    def look_up(a: str, b: str) -> dict[str, Any]:
        at = place[a], place[b]
        seeds = int(count[at])
        tested = seeds > 1 and not np.isnan(low[at])
        return {
            "difference": encode_float(float(difference[at])),
            "ci_low": encode_float(float(low[at])) if tested else None,
            "ci_high": encode_float(float(high[at])) if tested else None,
            "p": float(p_value[at]) if tested else None,
            "rule": f"paired t over {seeds} seeds" if tested else "none: fewer than two seeds in common",
            "seeds": seeds,
        }

    return look_up
