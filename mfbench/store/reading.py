"""What can be asked of a store. Every question is a few SQL statements, however many cells it is about."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from mfbench.errors import UserError
from mfbench.identity import encode_float
from mfbench.store.blobs import decode_array

if TYPE_CHECKING:
    import pandas as pd
    from numpy import ndarray

_RESULT_COLUMNS = (
    *("cache_key", "cell_id", "run_id", "status", "error", "nfe", "notes", "plugin", "plugin_version"),
    *("wall_s", "fit_s", "parameter_count", "peak_memory_bytes", "started", "ended"),
)
_RESULTS = f"{', '.join(_RESULT_COLUMNS)}, spec"
_ANSWERED = "results CROSS JOIN cells USING (cell_id)"
_SHORTEST_PREFIX = 4


class StoreReader:
    """The questions. `self.connection` is open and has the present schema."""

    connection: sqlite3.Connection

    # -- cells and their results ------------------------------------------------------------------------

    def statuses(self, cache_keys: Iterable[str] | None = None) -> dict[str, str]:
        """cache_key -> status, of every result or of those asked for that are there."""
        rows = self._select("SELECT cache_key, status FROM results", "cache_key", cache_keys)
        return {row["cache_key"]: row["status"] for row in rows}

    def known_cells(self, cell_ids: Iterable[str] | None = None) -> set[str]:
        """The cells that have a result under any cache key (where the plan's key is new, theirs is stale)."""
        rows = self._select("SELECT DISTINCT cell_id FROM results", "cell_id", cell_ids)
        return {row["cell_id"] for row in rows}

    def results(
        self, cell_ids: Iterable[str] | None = None, *, cache_keys: Iterable[str] | None = None
    ) -> dict[str, dict[str, Any]]:
        """cell_id -> its current record, of all cells or of those asked for that have one.

        A record is strict JSON: what was asked (`protocol`, `method`, `data`, `seed`, `dtype`, `threads`,
        `device`, `role`, `label`), what came of it (`status`, `error`, `values`, `nfe`, `notes`, `wall_s`,
        `fit_s`, `parameter_count`, `peak_memory_bytes`, `started`, `ended`) and who answered (`plugin`,
        `plugin_version`, `run_id`, `cache_key`). The current record is the one that ended last, or the one
        named in `cache_keys` where these are given.
        """
        rows = self._result_rows(cell_ids, cache_keys)
        values = self._values([row["cache_key"] for row in rows])
        parsed = (_parsed_column(rows, name) for name in ("spec", "error", "notes"))
        return {
            row["cell_id"]: {
                **spec,
                **dict(zip(_RESULT_COLUMNS, row)),
                "error": error,
                "notes": notes,
                "values": values.get(row["cache_key"], []),
            }
            for row, spec, error, notes in zip(rows, *parsed)
        }

    def specs(self, cell_ids: Iterable[str] | None = None) -> dict[str, dict[str, Any]]:
        """cell_id -> what is asked, computed or not."""
        rows = self._select("SELECT cell_id, spec FROM cells", "cell_id", cell_ids)
        return {row["cell_id"]: spec for row, spec in zip(rows, _parsed_column(rows, "spec"))}

    def record(self, cell_id_prefix: str) -> dict[str, Any]:
        """All about one cell: its current record with `timings` and the `suite` that computed it.

        UserError where the prefix is under four characters, names no computed cell, or more than one.
        """
        if len(cell_id_prefix) < _SHORTEST_PREFIX:
            raise UserError(f"cell {cell_id_prefix!r}: give at least {_SHORTEST_PREFIX} characters of its id")
        rows = self.connection.execute(
            "SELECT DISTINCT cell_id FROM results WHERE substr(cell_id, 1, ?) = ? ORDER BY cell_id LIMIT 4",
            (len(cell_id_prefix), cell_id_prefix),
        ).fetchall()
        found = [row["cell_id"] for row in rows]
        if len(found) != 1:
            several = ", ".join(cell_id[:12] for cell_id in found)
            problem = f"is ambiguous: {several}" if found else "has no result in this store"
            raise UserError(f"cell {cell_id_prefix!r}: {problem}; a board's records.jsonl lists cell_id")
        record = self.results(found)[found[0]]
        run = self.runs([record["run_id"]]).get(record["run_id"], {})
        timings = self.timings(cache_keys=[record["cache_key"]])
        return {**record, "suite": run.get("suite", ""), "timings": timings}

    def _result_rows(
        self, cell_ids: Iterable[str] | None, cache_keys: Iterable[str] | None
    ) -> list[sqlite3.Row]:
        if cache_keys is not None:
            return self._in_order(_RESULTS, _ANSWERED, cache_keys)
        # SQLite takes the bare columns from the row that holds the maximum.
        newest = f"SELECT {_RESULTS}, max(ended || printf('%020d', results.rowid)) FROM {_ANSWERED}"
        return self._select(newest, "cell_id", cell_ids, "GROUP BY cell_id")

    def _values(self, cache_keys: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
        values: dict[str, list[dict[str, Any]]] = {}
        columns = "cache_key, metric, part, metric_values.value, n, ci_low, ci_high"
        rows = self._in_order(columns, "metric_values", cache_keys, ", position")
        for key, metric, part, value, n, low, high in rows:
            line = {
                "metric": metric,
                "part": part,
                "value": "nan" if value is None else encode_float(value),
                "n": n,
                "ci_low": encode_float(low),
                "ci_high": encode_float(high),
            }
            values.setdefault(key, []).append(line)
        return values

    # -- arrays -----------------------------------------------------------------------------------------

    def scores(self, cache_keys: Iterable[str]) -> dict[str, dict[str, ndarray]]:
        """cache_key -> group -> per-example scores, of those that have some."""
        return self._arrays("score", cache_keys)

    def arrays(self, cache_keys: Iterable[str]) -> dict[str, dict[str, ndarray]]:
        """cache_key -> name -> the array a figure needs, of those that have some."""
        return self._arrays("array", cache_keys)

    def _arrays(self, role: str, cache_keys: Iterable[str]) -> dict[str, dict[str, ndarray]]:
        found: dict[str, dict[str, ndarray]] = {}
        for key, name, blob in self._blobs(role, cache_keys):
            found.setdefault(key, {})[name] = decode_array(blob)
        return found

    def _blobs(self, role: str, cache_keys: Iterable[str]) -> list[tuple[str, str, dict[str, Any]]]:
        rows = self._select(
            "SELECT cache_key, role, name, dtype, shape, data FROM blobs",
            "cache_key",
            cache_keys,
            "ORDER BY cache_key, name",
        )
        return [
            (
                row["cache_key"],
                row["name"],
                {"dtype": row["dtype"], "shape": json.loads(row["shape"]), "data": row["data"]},
            )
            for row in rows
            if row["role"] == role
        ]

    # -- suites, runs, protocols ------------------------------------------------------------------------

    def suite_names(self) -> list[str]:
        """The suites that have been run into this store, sorted."""
        rows = self.connection.execute("SELECT DISTINCT suite FROM suite_cells ORDER BY suite")
        return [row["suite"] for row in rows]

    def suite_cells(self, suite: str) -> dict[str, str]:
        """cell_id -> cache_key of the cells a suite's board shows, in the suite's order, computed or not."""
        rows = self.connection.execute(
            "SELECT cell_id, cache_key FROM suite_cells WHERE suite = ? ORDER BY position, cell_id", (suite,)
        )
        return {row["cell_id"]: row["cache_key"] for row in rows}

    def runs(self, run_ids: Iterable[str] | None = None) -> dict[str, dict[str, Any]]:
        """run_id -> its row, with `provenance` and `argv` parsed, oldest first."""
        rows = self._select("SELECT * FROM runs", "run_id", run_ids, "ORDER BY started, rowid")
        return {row["run_id"]: _run(row) for row in rows}

    def latest_run(self, suite: str) -> dict[str, Any] | None:
        """The run of a suite that started last, complete ones before partial ones."""
        row = self.connection.execute(
            "SELECT * FROM runs WHERE suite = ? ORDER BY partial, started DESC, rowid DESC LIMIT 1", (suite,)
        ).fetchone()
        return None if row is None else _run(row)

    def protocols(self) -> dict[tuple[str, int], dict[str, Any]]:
        """(name, version) -> {"workload", "metrics": [{name, unit, better, primary, description}]}."""
        rows = self.connection.execute("SELECT * FROM protocols ORDER BY name, version")
        return {
            (row["name"], row["version"]): {
                "workload": row["workload"],
                "metrics": json.loads(row["metrics"]),
            }
            for row in rows
        }

    def comparisons(self) -> dict[tuple[str, str], dict[str, Any]]:
        """(a_key, b_key) -> the line of `comparisons.jsonl` that came with the results these keys name."""
        rows = self.connection.execute("SELECT a_key, b_key, line FROM comparisons")
        return {(row["a_key"], row["b_key"]): json.loads(row["line"]) for row in rows}

    # -- timings, fits, estimates -----------------------------------------------------------------------

    def timings(
        self, cell_ids: Iterable[str] | None = None, *, cache_keys: Iterable[str] | None = None
    ) -> list[dict[str, Any]]:
        """Timings of all cells or of those asked for, one a (cache_key, machine), in order of measurement."""
        column, wanted = ("cache_key", cache_keys) if cache_keys is not None else ("cell_id", cell_ids)
        rows = self._select("SELECT * FROM timings", column, wanted, "ORDER BY ended, rowid")
        return [_parsed(row, "error") | {"valid": bool(row["valid"])} for row in rows]

    def fits(self, fit_keys: Iterable[str] | None = None) -> dict[str, dict[str, Any]]:
        """fit_key -> its row, with `spec` and `error` parsed."""
        rows = self._select("SELECT * FROM fits", "fit_key", fit_keys)
        return {row["fit_key"]: _parsed(row, "spec", "error") for row in rows}

    def medians(self) -> dict[tuple[str, str], float]:
        """Median seconds of past work, for estimates.

        (protocol, method) -> of its ok cells; ("fit", "kind/name") -> of its ok fits.
        """
        cells = self.connection.execute(
            """SELECT json_extract(spec, '$.protocol.name') AS a, json_extract(spec, '$.method.name') AS b,
               wall_s FROM results JOIN cells USING (cell_id) WHERE status = 'ok' AND wall_s IS NOT NULL"""
        ).fetchall()
        fits = self.connection.execute(
            """SELECT 'fit' AS a, json_extract(spec, '$.choice.kind') || '/' ||
               json_extract(spec, '$.choice.name') AS b, wall_s
               FROM fits WHERE status = 'ok' AND wall_s IS NOT NULL"""
        ).fetchall()
        return _medians([*cells, *fits])

    # -- pandas -----------------------------------------------------------------------------------------

    def frame(self, suite: str | None = None) -> pd.DataFrame:
        """One row a (cell, metric, part) of the current results; a cell without a metric has one row.

        With `suite`: the cells its board shows, under the cache keys of its latest run. Without: all cells,
        and the column `suite` names the suite whose run computed the cell.
        """
        from mfbench.store.frame import results_frame

        return results_frame(self, suite)

    # -- how questions are asked ------------------------------------------------------------------------

    def _select(
        self, select: str, column: str, wanted: Iterable[str] | None, tail: str = ""
    ) -> list[sqlite3.Row]:
        """Rows of `select`, of all or of those whose `column` is among `wanted` (any number)."""
        if wanted is None:
            return self.connection.execute(f"{select} {tail}").fetchall()
        among = f"WHERE {column} IN (SELECT value FROM json_each(?))"
        return self.connection.execute(f"{select} {among} {tail}", (json.dumps(list(wanted)),)).fetchall()

    def _in_order(
        self, columns: str, tables: str, cache_keys: Iterable[str], then: str = ""
    ) -> list[sqlite3.Row]:
        """Rows of the results named, as they are named: what is read together then lies together."""
        wanted = json.dumps(list(dict.fromkeys(cache_keys)))
        return self.connection.execute(
            f"SELECT {columns} FROM json_each(?) AS wanted CROSS JOIN {tables} "
            f"WHERE cache_key = wanted.value ORDER BY wanted.key{then}",
            (wanted,),
        ).fetchall()


class _Transaction:
    """BEGIN ... COMMIT, or ROLLBACK where the body raises; inside another one, part of that."""

    def __init__(self, connection: sqlite3.Connection, begin: str = "BEGIN") -> None:
        self._connection = connection
        self._begin = begin

    def __enter__(self) -> None:
        self._outer = self._connection.in_transaction
        if not self._outer:
            self._connection.execute(self._begin)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if not self._outer and self._connection.in_transaction:
            self._connection.execute("COMMIT" if kind is None else "ROLLBACK")


def _parsed_column(rows: Sequence[sqlite3.Row], name: str) -> list[Any]:
    """The JSON of a column, null where it is NULL; one parse of all, which is quicker and shares the keys."""
    parsed: list[Any] = json.loads(f"[{','.join([row[name] or 'null' for row in rows])}]")
    return parsed


def _run(row: sqlite3.Row) -> dict[str, Any]:
    flags = {name: None if row[name] is None else bool(row[name]) for name in ("partial", "interrupted")}
    return _parsed(row, "argv", "provenance") | flags


def _parsed(row: sqlite3.Row, *names: str) -> dict[str, Any]:
    return dict(row) | {name: _json(row[name]) for name in names}


def _json(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def _medians(rows: Iterable[sqlite3.Row]) -> dict[tuple[str, str], float]:
    from statistics import median

    seconds: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        seconds.setdefault((row["a"], row["b"]), []).append(row["wall_s"])
    return {key: median(values) for key, values in seconds.items()}
