"""A store -> what lies beside a board (`bundle.Bundle`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfbench.boards import statistics
from mfbench.boards.bundle import FORMAT, Bundle
from mfbench.boards.cells import MISSING, all_but_seed, row_id
from mfbench.boards.folders import named_files, names_files, without_folders
from mfbench.errors import UserError
from mfbench.identity import encode_float
from mfbench.version import __version__

if TYPE_CHECKING:
    import numpy as np

    from mfbench.registry import Registry
    from mfbench.store import Store

_UNANSWERED: Mapping[str, Any] = {
    "status": MISSING,
    "error": None,
    "values": [],
    "notes": [],
    "plugin": "",
    "plugin_version": "",
    "run_id": "",
    **dict.fromkeys(
        ("nfe", "wall_s", "fit_s", "parameter_count", "peak_memory_bytes", "started", "ended"), None
    ),
}
"""What is known of a cell that the suite asks for and that was never computed."""

_PARTS = ("protocol", "method", "data")

_TIMING = ("machine", "run_id", "status", "timing_n", "valid", "peak_memory_bytes", "started", "ended")


def collect(store: Store, suite: str, registry: Registry) -> Bundle:
    """Everything a suite's board is made from; UserError where the suite was never run into the store."""
    asked = store.suite_cells(suite)
    latest = store.latest_run(suite)
    if not asked or latest is None:
        there = ", ".join(store.suite_names()) or "none"
        raise UserError(f"{store.path}: suite {suite!r} has not been run into this store; there is: {there}")
    records = _records(store, asked)
    protocols = store.protocols()
    primaries, separators = _flagged(protocols, "primary"), _flagged(protocols, "separates")
    known = store.comparisons()
    return Bundle(
        records=records,
        comparisons=statistics.compare(records, primaries, store.scores, known, separators),
        provenance={
            "format": FORMAT,
            "mfbench": __version__,
            "suite": suite,
            "suite_hash": latest["suite_hash"],
            "runs": _runs(store, records, latest),
            "protocols": _protocols(records, protocols),
            "registered": _registered(records, registry),
        },
        suite_text=latest["suite_text"],
        arrays=_arrays(store, records),
    )


def _records(store: Store, asked: Mapping[str, str]) -> list[dict[str, Any]]:
    """One record a cell, in the suite's order, without what may be large (tracebacks, scores, arrays)."""
    found = store.results(cache_keys=asked.values())
    specs = store.specs(asked.keys() - found.keys())
    timings: dict[str, list[dict[str, Any]]] = {}
    for timing in store.timings(cache_keys=asked.values()):
        timings.setdefault(timing["cache_key"], []).append(_timing(timing))
    records: list[dict[str, Any]] = []
    row, with_files, before = "", list[str](), ""
    for cell_id, cache_key in asked.items():
        record = found.get(cell_id) or {"cell_id": cell_id, **specs[cell_id], **_UNANSWERED}
        # A row's seeds follow each other. By what is written: 1, 1.0 and true are equal, and not the same.
        if before != (now := repr(all_but_seed(record))):
            before, row = now, row_id(record)
            with_files = [part for part in _PARTS if names_files(record[part])]
        record |= {"cache_key": cache_key, "timings": timings.get(cache_key, []), "row": row}
        record |= {"error": _error(record["error"]), **_costs(record)}
        record |= {part: named_files(record[part]) for part in with_files}
        records.append(record)
    return records


def _error(error: Mapping[str, Any] | None) -> dict[str, str] | None:
    """Type and message; the traceback stays in the store (`mfbench show CELL`)."""
    return None if error is None else {"type": str(error["type"]), "message": str(error["message"])}


def _costs(record: Mapping[str, Any]) -> dict[str, float | str | None]:
    return {name: encode_float(record[name]) for name in ("nfe", "wall_s", "fit_s")}


def _timing(timing: Mapping[str, Any]) -> dict[str, Any]:
    floats = {name: encode_float(timing[name]) for name in ("device_ms", "device_ms_iqr")}
    return {**{name: timing[name] for name in _TIMING}, **floats, "error": _error(timing["error"])}


def _flagged(protocols: Mapping[tuple[str, int], Mapping[str, Any]], flag: str) -> dict[tuple[str, int], str]:
    """The name of each protocol's metric that has this flag, where there is one."""
    return {
        key: metric["name"]
        for key, about in protocols.items()
        for metric in about["metrics"]
        if metric.get(flag)
    }


def _runs(store: Store, records: Sequence[Mapping[str, Any]], latest: Mapping[str, Any]) -> dict[str, Any]:
    """The runs that computed or timed a cell of the board, and the latest one.

    Of files that they were given in full only the names: the folders of a machine are nobody else's business.
    """
    named = {record["run_id"] for record in records} | {
        timing["run_id"] for record in records for timing in record["timings"]
    }
    kept = ("argv", "started", "ended", "interrupted", "partial", "suite", "suite_hash", "provenance")
    runs = store.runs(sorted((named | {latest["run_id"]}) - {""}))
    found = {run_id: {name: run[name] for name in kept} for run_id, run in runs.items()}
    for run in found.values():
        run["argv"] = list(map(without_folders, run["argv"]))
        about = run["provenance"]
        if "executable" in about:
            run["provenance"] = {**about, "executable": without_folders(about["executable"])}
    return found


def _protocols(
    records: Iterable[Mapping[str, Any]], known: Mapping[tuple[str, int], Mapping[str, Any]]
) -> dict[str, Any]:
    """ "name/version" -> workload and metrics of the protocols that the records name."""
    named = {(record["protocol"]["name"], record["protocol"]["version"]) for record in records}
    return {f"{name}/{version}": known[name, version] for name, version in sorted(named & known.keys())}


def _registered(records: Iterable[Mapping[str, Any]], registry: Registry) -> dict[str, Any]:
    """By "kind/name", what its registration says, and its parameters' defaults, for all names in the records.

    A name whose plugin is gone, or that cannot be read now, is left out: its parameters are shown in full.
    """
    from mfbench.plan.catalog import Catalog
    from mfbench.plan.choices import Resolver

    catalog = Catalog(registry)
    resolver = Resolver(catalog, Path())
    names, found = sorted(_names(records)), {}
    catalog.read(names)  # in one child
    for kind, name in names:
        try:
            card, defaults = registry.card(kind, name), resolver.defaults(kind, name)
        except UserError:
            continue
        signature = catalog.known(kind, name)
        found[f"{kind}/{name}"] = {
            "summary": card.summary,
            "reference": card.reference,
            "defaults": defaults,
            "facts": dict(signature.facts) if signature else {},
        }
    return found


def _names(records: Iterable[Mapping[str, Any]]) -> set[tuple[str, str]]:
    """(kind, name) of every choice in the records, references included."""
    names: set[tuple[str, str]] = set()
    pending: list[Any] = []
    for record in {record["row"]: record for record in records}.values():
        pending += (record["protocol"], record["method"], record["data"])
    while pending:
        value = pending.pop()
        if isinstance(value, list):
            pending += value
        elif isinstance(value, Mapping) and "kind" in value:
            names.add((value["kind"], value["name"]))
            pending += value["parameters"].values()
    return names


def _arrays(store: Store, records: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """Arrays by "<cell_id>/<name>", of the lowest seed of each row: figures show one of each."""
    lowest: dict[str, Mapping[str, Any]] = {}
    for record in sorted(records, key=lambda record: int(record["seed"])):
        if record["status"] == "ok":
            lowest.setdefault(record["row"], record)
    cells = {record["cache_key"]: record["cell_id"] for record in lowest.values()}
    found = store.arrays(cells)
    return {f"{cells[key]}/{name}": array for key, arrays in found.items() for name, array in arrays.items()}
