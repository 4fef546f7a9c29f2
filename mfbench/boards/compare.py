"""`mfbench compare`: two stores, boards or record files, value by value, paired by seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mfbench.boards import bundle as bundles
from mfbench.boards import formats
from mfbench.boards.cells import identity_text, protocol_label, row_id, value_frame
from mfbench.errors import UserError
from mfbench.measures import intervals

TOLERANCE = 1e-6
"""Relative difference up to which two values are the same."""

_KEYS = ["key", "seed", "metric", "part"]
DIFFERENCE_COLUMNS = (
    *("protocol", "data", "method", "metric", "part", "a", "b"),
    *("difference", "ci_low", "ci_high", "seeds", "same"),
)


@dataclass(frozen=True)
class Comparison:
    """differences: one line a (row, metric, part) with b minus a, its interval over seeds (NaN under two),
    and whether all seeds are the `same`. statuses: cells that ended otherwise. only_a, only_b: cells of one
    side.
    """

    differences: pd.DataFrame
    statuses: list[str]
    only_a: int
    only_b: int

    @property
    def holds(self) -> bool:
        """Whether everything that both sides have is the same."""
        return bool(self.differences["same"].all()) and not self.statuses


def compare(a: Path, b: Path, tolerance: float = TOLERANCE) -> Comparison:
    """What A and B have in common, and where it differs; UserError where they have nothing in common."""
    left, right = read_records(a), read_records(b)
    keys_left, keys_right = _keys(left, right)
    by_key, other = dict(zip(keys_left, left)), dict(zip(keys_right, right))
    shared = [key for key in by_key if key in other]
    if not shared:
        raise UserError(f"{a} and {b} have no cell in common: there is nothing to compare")
    merged = _values(by_key, shared).merge(
        _values(other, shared), "outer", on=_KEYS, suffixes=("_a", "_b"), sort=False
    )
    return Comparison(
        differences=_differences(merged, by_key, tolerance),
        statuses=[line for key in shared if (line := _status(by_key[key], other[key]))],
        only_a=len(by_key) - len(shared),
        only_b=len(other) - len(shared),
    )


def read_records(path: Path) -> list[dict[str, Any]]:
    """The records of a board's folder, of a `records.jsonl`, or of a store (the current ones)."""
    if path.is_dir():
        path = path / bundles.RECORDS
    if path.suffix == ".jsonl":
        return bundles.read_lines(path, formats.RECORD)
    from mfbench.store import Store

    with Store(path, create=False) as store:
        return list(store.results().values())


Key = tuple[str, int]


def _keys(a: Sequence[Mapping[str, Any]], b: Sequence[Mapping[str, Any]]) -> tuple[list[Key], list[Key]]:
    """Of each cell, what was asked and its seed.

    Device, threads, precision and the protocol's version are left out, so that machines can be compared,
    unless a side holds cells that differ in nothing else.
    """
    coarse = [[_asked(record) for record in side] for side in (a, b)]
    if any(len(set(side)) < len(side) for side in coarse):
        coarse = [[(row_id(record), record["seed"]) for record in side] for side in (a, b)]
    return coarse[0], coarse[1]


def _asked(record: Mapping[str, Any]) -> Key:
    protocol = {name: record["protocol"][name] for name in ("name", "parameters")}
    return identity_text([protocol, record["method"], record["data"]]), record["seed"]


def _values(records: Mapping[Key, Mapping[str, Any]], shared: Sequence[Key]) -> pd.DataFrame:
    chosen = [{**records[key], "row": key[0]} for key in shared]
    frame = value_frame(chosen).rename(columns={"row": "key"})
    return frame[[*_KEYS, "value"]]


def _status(a: Mapping[str, Any], b: Mapping[str, Any]) -> str:
    """How two answers to one question ended, where not alike."""
    if a["status"] == b["status"]:
        return ""
    what = f"{protocol_label(a['protocol'])} {a['data']['name']} {a['label']} seed {a['seed']}"
    return f"{what}: {a['status']} in A, {b['status']} in B"


def _differences(
    merged: pd.DataFrame, records: Mapping[Key, Mapping[str, Any]], tolerance: float
) -> pd.DataFrame:
    first = {key: record for (key, _), record in reversed(list(records.items()))}
    a, b = merged["value_a"].to_numpy(), merged["value_b"].to_numpy()
    same = np.isclose(a, b, rtol=tolerance, atol=1e-12, equal_nan=True)
    lines = []
    groups: dict[Any, Any] = merged.groupby(["key", "metric", "part"], sort=False).indices
    for (key, metric, part), where in groups.items():
        record = first[key]
        about = (protocol_label(record["protocol"]), record["data"]["name"], record["label"])
        numbers = _difference(a[where], b[where])
        lines.append((*about, metric, part, *numbers, len(where), bool(same[where].all())))
    return pd.DataFrame(lines, columns=list(DIFFERENCE_COLUMNS))


def _difference(a: np.ndarray, b: np.ndarray) -> tuple[float, float, float, float, float]:
    """Means of both, and of b - a with Student's interval over the seeds that both have."""
    with np.errstate(invalid="ignore"):
        gaps = b - a
    gaps = np.where(a == b, 0.0, gaps)  # infinity is where infinity was
    paired = gaps[~np.isnan(gaps)]
    nan = float("nan")
    means = [float(np.mean(side)) for side in (a, b)]
    if not len(paired):
        return means[0], means[1], nan, nan, nan
    found = intervals.student(paired)
    low, high = (nan if end is None else end for end in (found.low, found.high))
    return means[0], means[1], found.value, low, high
