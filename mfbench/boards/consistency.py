"""Whether the lines of `comparisons.jsonl` can be of the records beside them.

Per-example scores are not published, so intervals and p-values cannot be made again from a board. What can
be: the difference, which is that of the recorded values, and Holm's adjustment, which is of the p-values.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from mfbench.boards.cells import number
from mfbench.measures import comparison

RELATIVE, ABSOLUTE = 1e-9, 1e-12
"""Allowed differences: relative, and as a share of the largest value (means of the same numbers round)."""


def contradictions(
    records: Sequence[Mapping[str, Any]], comparisons: Sequence[Mapping[str, Any]]
) -> Iterator[str]:
    """What is wrong with each line, beginning with its place: "line 3: ..."; nothing where all is well."""
    rows: dict[str, dict[int, Mapping[str, Any]]] = {}
    for record in records:
        rows.setdefault(record["row"], {})[record["seed"]] = record
    for place, line in enumerate(comparisons, 1):
        problem = _wrong_difference(line, rows)
        if problem:
            yield f"line {place}: {problem}"
    yield from _wrong_adjustment(comparisons)


def is_difference(stated: float, a: Mapping[int, float], b: Mapping[int, float]) -> bool:
    """Whether `stated` is mean a - mean b over the shared seeds (seed -> value each).

    What is not finite has no difference to be held against, so that anything is believed of it.
    """
    seeds = sorted(a.keys() & b.keys())
    left, right = np.array([a[s] for s in seeds]), np.array([b[s] for s in seeds])
    if not (np.isfinite(left).all() and np.isfinite(right).all()):
        return True
    if not seeds:
        return math.isnan(stated)
    size = float(max(np.abs(left).max(), np.abs(right).max()))
    return math.isclose(stated, float(np.mean(left - right)), rel_tol=RELATIVE, abs_tol=ABSOLUTE * size)


def _wrong_difference(line: Mapping[str, Any], rows: Mapping[str, Mapping[int, Mapping[str, Any]]]) -> str:
    sides = [_values(rows.get(line[name], {}), line["metric"]) for name in ("a_row", "b_row")]
    for name, side in zip("ab", sides):
        if not side:
            return f"{line[name]!r} has no {line['metric']} in the records"
    stated = number(line["difference"])
    if is_difference(stated, *sides):
        return ""
    return f"difference {stated:.9g} of {line['a']} and {line['b']} is not that of their records"


def _values(cells: Mapping[int, Mapping[str, Any]], metric: str) -> dict[int, float]:
    """seed -> value of the metric, of the cells that have it."""
    return {
        seed: number(value["value"])
        for seed, record in cells.items()
        for value in record["values"]
        if value["metric"] == metric and value["part"] == ""
    }


def _wrong_adjustment(comparisons: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    made = [line["p"] for line in comparisons if line["p"] is not None]
    adjusted = iter(comparison.holm(made))
    for place, line in enumerate(comparisons, 1):
        expected = None if line["p"] is None else float(next(adjusted))
        stated = line["p_holm"]
        if expected is None or stated is None:
            good = expected is stated
        else:
            good = math.isclose(stated, expected, rel_tol=RELATIVE)
        if not good:
            yield f"line {place}: p_holm {stated} is not Holm's adjustment of the p-values, {expected}"
