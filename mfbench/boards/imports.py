"""`mfbench import`: records of another machine into this store: a run goes on where that one left off.

Per-example scores stay where they were made; the comparisons that were made of them come along, and are used
again while both of their sides are the results they were made of.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfbench.boards import bundle as bundles
from mfbench.boards.bundle import Bundle
from mfbench.boards.cells import MISSING
from mfbench.boards.consistency import contradictions
from mfbench.errors import UserError
from mfbench.identity import sha256_of
from mfbench.plan.choices import choice_identity

if TYPE_CHECKING:
    from mfbench.store import Store

SAME = 1e-6
"""Relative difference up to which two machines' values under one cache key are the same result."""

_ASKED = ("protocol", "method", "data", "seed", "dtype", "threads", "device")


@dataclass(frozen=True)
class Imported:
    """What came of an import: records in the file, those new to the store, those kept as they were here."""

    suite: str
    records: int
    new: int
    conflicts: int


def read_board(file: Path) -> Bundle:
    """What lies in a board's folder, named so or by its `records.jsonl`; UserError where there is none."""
    if not file.exists():
        raise UserError(f"{file}: there is no such file or folder")
    if not file.is_dir() and file.name != bundles.RECORDS:
        raise UserError(f"{file}: a board's {bundles.RECORDS} is expected, or its folder")
    folder = file if file.is_dir() else file.parent
    found = bundles.read(folder)
    for number, record in enumerate(found.records, 1):
        _check(record, f"{folder / bundles.RECORDS}, line {number}")
    for problem in contradictions(found.records, found.comparisons):
        raise UserError(f"{folder / bundles.COMPARISONS}, {problem}")
    return found


def import_board(store: Store, found: Bundle, keep: bool = False) -> Imported:
    """Take over a board's records, and what lies beside them.

    A result that this store has already stays; UserError where the two differ, unless `keep` says to keep
    what is here. All or nothing; importing twice changes nothing.
    """
    answered = [record for record in found.records if record["status"] != MISSING]
    with store.lock():
        conflicts = dict(_conflicts(store, answered))
        if conflicts and not keep:
            raise UserError(_complaint(found, conflicts, store))
        new = store.insert_records(
            _with_arrays([r for r in answered if r["cache_key"] not in conflicts], found),
            runs=_runs(found),
            suite_cells={found.suite: _shown(store, found.suite, answered)},
            protocols=_protocols(found),
            comparisons=found.comparisons,
        )
    return Imported(found.suite, len(answered), new, len(conflicts))


def _check(record: Mapping[str, Any], where: str) -> None:
    """UserError where a line's identity does not belong to what it says was asked."""
    if sha256_of({name: choice_identity(record[name]) for name in _ASKED}) != record["cell_id"]:
        raise UserError(
            f"{where}: cell_id {record['cell_id'][:12]!r} is not that of what is asked; the line was changed"
        )


def _conflicts(store: Store, records: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """cache_key -> what differs, of results that are ok here and there and not the same."""
    here = store.results(cache_keys=[record["cache_key"] for record in records])
    for record in records:
        mine = here.get(record["cell_id"])
        if mine is not None and mine["cache_key"] == record["cache_key"]:
            difference = _difference(mine, record)
            if difference:
                yield record["cache_key"], difference


def _difference(mine: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """The first value in which two ok results differ; "" where they agree, or one of them is not ok."""
    if mine["status"] != "ok" or other["status"] != "ok":
        return ""
    ours, theirs = (
        {(v["metric"], v["part"]): float(v["value"]) for v in record["values"]} for record in (mine, other)
    )
    for key in sorted(ours.keys() | theirs.keys()):
        a, b = ours.get(key), theirs.get(key)
        if a is None or b is None or not agree(a, b, SAME):
            return f"{' '.join(part for part in key if part)}: {a} here, {b} there"
    return ""


def agree(a: float, b: float, relative: float) -> bool:
    """Whether two numbers are the same to within a relative difference; NaN is NaN."""
    return (math.isnan(a) and math.isnan(b)) or math.isclose(a, b, rel_tol=relative, abs_tol=1e-12)


def _complaint(found: Bundle, conflicts: Mapping[str, str], store: Store) -> str:
    key, first = next(iter(conflicts.items()))
    return (
        f"{found.suite}: {len(conflicts)} results are in {store.path} with other numbers (the first, "
        f"{key[:12]}: {first}); import into another store and see `mfbench compare`, or --keep what is here"
    )


def _with_arrays(records: Sequence[Mapping[str, Any]], found: Bundle) -> Iterator[dict[str, Any]]:
    from mfbench.store import encode_array

    arrays = found.arrays_by_cell()
    for record in records:
        mine = {name: encode_array(array) for name, array in arrays.get(record["cell_id"], {}).items()}
        error = record["error"] and {"traceback": "", **record["error"]}
        yield {**record, "arrays": mine, "error": error}


def _shown(store: Store, suite: str, records: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The cells that the suite's board gains; those it shows already it shows as before."""
    here = store.suite_cells(suite)
    return {r["cell_id"]: r["cache_key"] for r in records if r["cell_id"] not in here}


def _runs(found: Bundle) -> list[dict[str, Any]]:
    """The runs behind the records; the text of the suite is known of those that ran this very suite."""
    own = found.provenance["suite_hash"]
    return [
        {"run_id": run_id, **run, "suite_text": found.suite_text if run["suite_hash"] == own else ""}
        for run_id, run in found.provenance["runs"].items()
    ]


def _protocols(found: Bundle) -> dict[tuple[str, int], Mapping[str, Any]]:
    named = ((*key.rpartition("/"), about) for key, about in found.provenance["protocols"].items())
    return {(name, int(version)): about for name, _, version, about in named}
