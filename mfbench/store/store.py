"""What can be written to a store. One process does: the one that holds the lock."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any

from mfbench.identity import canonical, decode_float
from mfbench.store.blobs import raw_bytes
from mfbench.store.lock import run_lock
from mfbench.store.opening import cannot_be_used, is_the_files_fault, open_database
from mfbench.store.reading import StoreReader, _Transaction

SPEC_KEYS = ("protocol", "method", "data", "seed", "dtype", "threads", "device", "role", "label")
"""What `cells.spec` says of a cell: what is asked of whom, and how a board shows it."""


class Store(StoreReader):
    """A store file, open for reading and writing; close it, or use it in a `with`."""

    def __init__(self, path: str | Path, *, create: bool = True) -> None:
        """Open `path`; UserError where it is no store, a newer mfbench's, or (create=False) absent."""
        self.path = Path(path)
        self.connection = open_database(self.path, create)
        self.connection.row_factory = sqlite3.Row

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file; a damaged file or a full disk, met at any question, becomes a UserError here."""
        self.close()
        if is_the_files_fault(error):
            raise cannot_be_used(self.path, error) from error

    def close(self) -> None:
        """Close the file; safe to call twice."""
        self.connection.close()

    def lock(self) -> AbstractContextManager[None]:
        """Held by whoever writes; UserError where another process (or run) holds it."""
        return run_lock(self.path)

    # -- a run ------------------------------------------------------------------------------------------

    def begin_run(self, run: Mapping[str, Any], cells: Sequence[Mapping[str, Any]]) -> None:
        """A run starts: its row, what it asks (`SPEC_KEYS`, `cell_id`, `cache_key` of each cell, in order),
        and which cells the suite's board shows: a full run replaces them, a partial one adds to them.
        """
        with self._write():
            self._insert("runs", {"ended": None, "interrupted": None, **_run_row(run)})
            self._add_specs(cells)
            self._show(run["suite"], [(cell["cell_id"], cell["cache_key"]) for cell in cells], run["partial"])

    def end_run(self, run_id: str, ended: str, interrupted: bool) -> None:
        """A run ends."""
        with self._write():
            self.connection.execute(
                "UPDATE runs SET ended = ?, interrupted = ? WHERE run_id = ?", (ended, interrupted, run_id)
            )

    def add_result(self, run_id: str, record: Mapping[str, Any]) -> None:
        """A computed cell's record (see docs/architecture.md), in place of an earlier one of its key."""
        with self._write():
            self._add_result(run_id, record)

    def add_fit(self, run_id: str, record: Mapping[str, Any], spec: Mapping[str, Any]) -> None:
        """A fit's record; `spec` is the Fit as JSON."""
        names = "fit_key, status, wall_s, parameter_count, peak_memory_bytes, artifact_sha256, started, ended"
        row = {name: record.get(name) for name in names.split(", ")}
        row |= {"run_id": run_id, "spec": canonical(spec), "error": _dump(record.get("error"))}
        with self._write():
            self._insert("fits", row)

    def add_timing(self, run_id: str, record: Mapping[str, Any]) -> None:
        """A timing's record; it names its `machine`."""
        with self._write():
            self._add_timing(run_id, record)

    def add_protocol(self, name: str, version: int, about: Mapping[str, Any]) -> None:
        """What a protocol measures: its `workload` and `metrics`."""
        row = {"name": name, "version": version, "workload": about["workload"]}
        with self._write():
            self._insert("protocols", {**row, "metrics": canonical(about["metrics"])})

    # -- records of another machine ---------------------------------------------------------------------

    def insert_records(
        self,
        records: Iterable[Mapping[str, Any]],
        *,
        runs: Iterable[Mapping[str, Any]] = (),
        suite_cells: Mapping[str, Mapping[str, str]] | None = None,
        comparisons: Iterable[Mapping[str, Any]] = (),
        protocols: Mapping[tuple[str, int], Mapping[str, Any]] | None = None,
    ) -> int:
        """Take over records as `results` gives them, with `scores`, `arrays` (blobs) and `timings` where they
        have some; the `runs` they name; what suites show (suite -> cell_id -> cache_key); `protocols`; and
        `comparisons` made from scores that stayed there.

        Returns how many records were taken: one whose cache key this store has already is taken only where
        it is ok and the one here is not. All or nothing.
        """
        new = 0
        with self._write():
            for run in runs:
                self._insert("runs", _run_row(run), "IGNORE")
            for (name, version), about in (protocols or {}).items():
                row = {"name": name, "version": version, "workload": about["workload"]}
                self._insert("protocols", {**row, "metrics": canonical(about["metrics"])}, "IGNORE")
            for line in comparisons:
                keys = {name: line[name] for name in ("a_key", "b_key")}
                self._insert("comparisons", {**keys, "line": canonical(line)}, "IGNORE")
            here = self.statuses()
            for record in records:
                new += self._import(record, here.get(record["cache_key"]))
            for suite, cells in (suite_cells or {}).items():
                self._show(suite, list(cells.items()), partial=True)
        return new

    def _import(self, record: Mapping[str, Any], here: str | None) -> bool:
        self._add_specs([record])
        better = here is None or (here not in ("ok", "unsupported") and record["status"] == "ok")
        if better:
            self._add_result(record["run_id"], record)
        for timing in record.get("timings", ()):
            self._add_timing(timing.get("run_id", record["run_id"]), {**record, **timing}, "IGNORE")
        return better

    # -- rows -------------------------------------------------------------------------------------------

    def _write(self) -> _Transaction:
        return _Transaction(self.connection, "BEGIN IMMEDIATE")

    def _insert(self, table: str, row: Mapping[str, Any], conflict: str = "REPLACE") -> None:
        marks = ", ".join("?" * len(row))
        self.connection.execute(
            f"INSERT OR {conflict} INTO {table} ({', '.join(row)}) VALUES ({marks})", tuple(row.values())
        )

    def _add_specs(self, cells: Iterable[Mapping[str, Any]]) -> None:
        self.connection.executemany(
            "INSERT OR REPLACE INTO cells VALUES (?, ?)",
            ((cell["cell_id"], canonical(_spec(cell))) for cell in cells),
        )

    def _show(self, suite: str, cells: Sequence[tuple[str, str]], partial: bool) -> None:
        if not partial:
            self.connection.execute("DELETE FROM suite_cells WHERE suite = ?", (suite,))
        self.connection.executemany(
            """INSERT INTO suite_cells VALUES (?, ?, ?, ?)
               ON CONFLICT DO UPDATE SET cache_key = excluded.cache_key""",
            ((suite, *cell, position) for position, cell in enumerate(cells)),
        )

    def _add_result(self, run_id: str, record: Mapping[str, Any]) -> None:
        key = record["cache_key"]
        names = "cache_key, cell_id, status, nfe, wall_s, fit_s, parameter_count, peak_memory_bytes"
        row = {name: record.get(name) for name in names.split(", ")}
        row |= {name: record.get(name) or "" for name in ("plugin", "plugin_version", "started", "ended")}
        row |= {"run_id": run_id, "error": _dump(record.get("error")), "notes": _dump(record["notes"])}
        self._insert("results", row)
        self._forget_values(key)
        self.connection.executemany(
            "INSERT INTO metric_values VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            ((key, position, *_value(value)) for position, value in enumerate(record["values"])),
        )
        for role, group in (("score", "scores"), ("array", "arrays")):
            self.connection.executemany(
                "INSERT INTO blobs VALUES (?, ?, ?, ?, ?, ?)",
                ((key, role, name, *_blob(blob)) for name, blob in (record.get(group) or {}).items()),
            )

    def _forget_values(self, cache_key: str) -> None:
        for table in ("metric_values", "blobs"):
            self.connection.execute(f"DELETE FROM {table} WHERE cache_key = ?", (cache_key,))

    def _add_timing(self, run_id: str, record: Mapping[str, Any], conflict: str = "REPLACE") -> None:
        names = "cell_id, cache_key, machine, timing_n, peak_memory_bytes, status, started, ended"
        row = {name: record.get(name) for name in names.split(", ")}
        row |= {name: decode_float(record.get(name)) for name in ("device_ms", "device_ms_iqr")}
        row |= {"run_id": run_id, "valid": bool(record["valid"]), "error": _dump(record.get("error"))}
        self._insert("timings", row, conflict)


def _spec(cell: Mapping[str, Any]) -> dict[str, Any]:
    return {**{key: cell[key] for key in SPEC_KEYS}, "data_digest": cell.get("data_digest", "")}


def _run_row(run: Mapping[str, Any]) -> dict[str, Any]:
    names = "run_id, suite, suite_text, suite_hash, partial, started, ended, interrupted"
    row = {name: run.get(name) for name in names.split(", ")}
    return {**row, "argv": _dump(list(run["argv"])), "provenance": _dump(run["provenance"])}


def _value(value: Mapping[str, Any]) -> tuple[Any, ...]:
    floats = [decode_float(value[name]) for name in ("value", "ci_low", "ci_high")]
    return (value["metric"], value["part"], floats[0], value["n"], *floats[1:])


def _blob(blob: Mapping[str, Any]) -> tuple[str, str, bytes]:
    return blob["dtype"], json.dumps(blob["shape"]), raw_bytes(blob["data"])


def _dump(value: Any) -> str | None:
    return None if value is None else canonical(value)
