"""Pairwise comparisons of a board, by the rule of `mfbench.measures.comparison`, with Holm over the board.

Compared are, within a block, the complete methods with each other and with the controls, by the primary
metric; where a metric separates ranks, only methods of equal value of it. A pair is compared by its
per-example scores where both have them; else by a comparison that was imported with their records, where
there is one; else by seed-paired t. The rule used stands in every line.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from mfbench.boards import right_or_wrong
from mfbench.boards.cells import block_key, number
from mfbench.boards.consistency import is_difference
from mfbench.identity import derive_seed, encode_float, sha256_of
from mfbench.measures import comparison

MOST_BY_EXAMPLE = 60
"""Blocks with more entrants than this are compared by seed-paired t alone, all pairs at once."""

Scores = Mapping[str, Mapping[str, np.ndarray]]
ScoresOf = Callable[[Sequence[str]], Scores]
"""cache keys -> cache key -> group -> per-example scores, of those that have some."""
Primaries = Mapping[tuple[str, int], str]
"""(protocol, version) -> name of its primary metric (or of the one that separates, where there is one)."""
Known = Mapping[tuple[str, str], Mapping[str, Any]]
"""(a_key, b_key) -> an imported comparison's line."""

_COPIED = ("difference", "ci_low", "ci_high", "p", "rule", "seeds")


def compare(
    records: Sequence[Mapping[str, Any]],
    primaries: Primaries,
    scores_of: ScoresOf,
    known: Known,
    separators: Primaries | None = None,
) -> list[dict[str, Any]]:
    """The lines of `comparisons.jsonl`.

    `difference` is a minus b; `p_holm` is
    adjusted over all comparisons that could be made; p is null where none could (one seed and no scores).
    """
    blocks = _blocks(records, primaries, separators or {})
    lines = [line for block in blocks for line in _compare_block(block, scores_of, known)]
    made = [line for line in lines if line["p"] is not None]
    for line, adjusted in zip(made, comparison.holm([line["p"] for line in made])):
        line["p_holm"] = float(adjusted)
    return lines


@dataclass(frozen=True)
class _Entrant:
    """A complete method or control: value and cache key by seed. `key` names the results it is made of.

    separate: means over the seeds of the metric that separates ranks; None where there is none.
    """

    row: str
    label: str
    role: str
    cells: Mapping[int, tuple[float, str]]
    key: str
    separate: float | None


@dataclass(frozen=True)
class _Block:
    """The entrants at equal protocol parameters, and what every comparison of them says about itself."""

    about: Mapping[str, Any]
    entrants: list[_Entrant]

    def pairs(self) -> Iterator[tuple[_Entrant, _Entrant]]:
        """Method with method, and method with control; control with control says nothing."""
        for a, b in combinations(self.entrants, 2):
            if a.role == b.role == "method" and a.separate != b.separate:
                continue
            if a.role == "method":
                yield a, b
            elif b.role == "method":
                yield b, a

    def cache_keys(self) -> list[str]:
        return [key for entrant in self.entrants for _, key in entrant.cells.values()]


def _blocks(
    records: Sequence[Mapping[str, Any]], primaries: Primaries, separators: Primaries
) -> list[_Block]:
    rows: dict[str, list[Mapping[str, Any]]] = {}
    for record in records:
        rows.setdefault(record["row"], []).append(record)
    blocks: dict[str, _Block] = {}
    for row, cells in rows.items():
        protocol, data = cells[0]["protocol"], cells[0]["data"]
        version = (protocol["name"], protocol["version"])
        metric = primaries.get(version)
        entrant = None if metric is None else _entrant(row, cells, metric, separators.get(version))
        if entrant is None:
            continue
        about = {
            "protocol": protocol["name"],
            "version": protocol["version"],
            "parameters": protocol["parameters"],
            "data": {"name": data["name"], "parameters": data["parameters"]},
            "metric": metric,
        }
        blocks.setdefault(block_key(cells[0]), _Block(about, [])).entrants.append(entrant)
    return list(blocks.values())


def _entrant(
    row: str, records: Sequence[Mapping[str, Any]], metric: str, separator: str | None
) -> _Entrant | None:
    """None for rows that are not compared, have failed cells, or lack a value."""
    if records[0]["role"] not in ("method", "control") or any(r["status"] != "ok" for r in records):
        return None
    cells = {record["seed"]: (_value(record, metric), record["cache_key"]) for record in records}
    if any(math.isnan(value) for value, _ in cells.values()):
        return None
    key = sha256_of(sorted(key for _, key in cells.values()))[:16]
    separate = None if separator is None else _separate(records, separator)
    return _Entrant(row, records[0]["label"], records[0]["role"], cells, key, separate)


def _separate(records: Sequence[Mapping[str, Any]], metric: str) -> float | None:
    """Their mean, to twelve digits as in the table; None where one has no value."""
    values = [_value(record, metric) for record in records]
    return None if any(math.isnan(v) for v in values) else float(f"{math.fsum(values) / len(values):.12g}")


def _value(record: Mapping[str, Any], metric: str) -> float:
    for value in record["values"]:
        if value["metric"] == metric and value["part"] == "":
            return float(value["value"])
    return float("nan")


def _compare_block(block: _Block, scores_of: ScoresOf, known: Known) -> Iterator[dict[str, Any]]:
    small = len(block.entrants) <= MOST_BY_EXAMPLE
    scores = scores_of(block.cache_keys()) if small else {}
    by_seed = _by_seed(block.entrants)
    for a, b in block.pairs():
        found = _by_example(a, b, scores) if scores else None
        found = found or _imported(a, b, known) or by_seed(a, b)
        names = {"a": a.label, "b": b.label, "a_row": a.row, "b_row": b.row, "a_key": a.key, "b_key": b.key}
        yield {**block.about, **names, **found, "p_holm": None}


def _by_example(a: _Entrant, b: _Entrant, scores: Scores) -> dict[str, Any] | None:
    """By per-example scores over the seeds that both have; None where they do not pair."""
    seeds = sorted(a.cells.keys() & b.cells.keys())
    left, right = (
        [(value, scores.get(key, {})) for value, key in (side.cells[seed] for seed in seeds)]
        for side in (a, b)
    )
    if not seeds or not all(groups for _, groups in [*left, *right]):
        return None
    rng = np.random.default_rng(derive_seed("compare", a.row, b.row))
    found = comparison.paired_difference(left, right, rng)
    if not found.method.startswith(("paired bootstrap", "identical")):
        return None
    found = right_or_wrong.exact(found, left, right)
    return {
        "difference": encode_float(found.difference),
        "ci_low": encode_float(found.low),
        "ci_high": encode_float(found.high),
        "p": found.p_value,
        "rule": found.method,
        "seeds": len(seeds),
    }


def _imported(a: _Entrant, b: _Entrant, known: Known) -> dict[str, Any] | None:
    """A comparison that came with the records, made of exactly these results.

    A store that had these results before keeps its own numbers, which may differ: then it is not of them.
    """
    line = known.get((a.key, b.key))
    if line is None:
        return None
    left, right = ({seed: value for seed, (value, _) in side.cells.items()} for side in (a, b))
    same = is_difference(number(line["difference"]), left, right)
    return {name: line[name] for name in _COPIED} if same else None


def _by_seed(entrants: Sequence[_Entrant]) -> Callable[[_Entrant, _Entrant], dict[str, Any]]:
    """Seed-paired t of all pairs at once; what is given back looks one of them up."""
    seeds = sorted({seed for entrant in entrants for seed in entrant.cells})
    missing = (float("nan"), "")
    values = np.array([[entrant.cells.get(seed, missing)[0] for seed in seeds] for entrant in entrants])
    difference, low, high, p_value = (matrix.tolist() for matrix in comparison.paired_t_matrix(values))
    there = np.isfinite(values).astype(int)
    count = (there @ there.T).tolist()
    place = {entrant.row: index for index, entrant in enumerate(entrants)}

    def look_up(a: _Entrant, b: _Entrant) -> dict[str, Any]:
        i, j = place[a.row], place[b.row]
        tested = count[i][j] > 1 and math.isfinite(low[i][j])
        shared = count[i][j] if tested else len(a.cells.keys() & b.cells.keys())
        return {
            "difference": encode_float(difference[i][j]),
            "ci_low": low[i][j] if tested else None,
            "ci_high": high[i][j] if tested else None,
            "p": p_value[i][j] if tested else None,
            "rule": f"paired t over {shared} seeds" if tested else _untested(shared),
            "seeds": shared,
        }

    return look_up


def _untested(shared: int) -> str:
    return "none: fewer than two seeds in common" if shared < 2 else "none: values are not finite"
