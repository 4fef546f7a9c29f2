"""The store's schema as numbered steps. Append only: a step that was ever released never changes.

`PRAGMA user_version` counts the steps a file has seen. NaN is NULL in SQLite: a value that is NULL is NaN.
"""

from __future__ import annotations

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE runs (
            run_id TEXT PRIMARY KEY, suite TEXT NOT NULL, suite_text TEXT NOT NULL, suite_hash TEXT NOT NULL,
            partial INTEGER NOT NULL, argv TEXT NOT NULL, provenance TEXT NOT NULL,
            started TEXT NOT NULL, ended TEXT, interrupted INTEGER)""",
        """CREATE TABLE cells (cell_id TEXT PRIMARY KEY, spec TEXT NOT NULL)""",
        """CREATE TABLE results (
            cache_key TEXT PRIMARY KEY, cell_id TEXT NOT NULL, run_id TEXT NOT NULL, status TEXT NOT NULL,
            error TEXT, nfe REAL, notes TEXT NOT NULL, plugin TEXT NOT NULL, plugin_version TEXT NOT NULL,
            wall_s REAL, fit_s REAL, parameter_count INTEGER, peak_memory_bytes INTEGER,
            started TEXT NOT NULL, ended TEXT NOT NULL)""",
        """CREATE INDEX results_of_cell ON results (cell_id)""",
        """CREATE TABLE metric_values (
            cache_key TEXT NOT NULL, position INTEGER NOT NULL, metric TEXT NOT NULL, part TEXT NOT NULL,
            value REAL, n INTEGER, ci_low REAL, ci_high REAL, PRIMARY KEY (cache_key, position)
            ) WITHOUT ROWID""",
        """CREATE TABLE blobs (
            cache_key TEXT NOT NULL, role TEXT NOT NULL, name TEXT NOT NULL, dtype TEXT NOT NULL,
            shape TEXT NOT NULL, data BLOB NOT NULL, PRIMARY KEY (cache_key, role, name))""",
        """CREATE TABLE fits (
            fit_key TEXT PRIMARY KEY, run_id TEXT NOT NULL, spec TEXT NOT NULL, status TEXT NOT NULL,
            error TEXT, wall_s REAL, parameter_count INTEGER, peak_memory_bytes INTEGER, artifact_sha256 TEXT,
            started TEXT NOT NULL, ended TEXT NOT NULL)""",
        """CREATE TABLE timings (
            cell_id TEXT NOT NULL, cache_key TEXT NOT NULL, machine TEXT NOT NULL, run_id TEXT NOT NULL,
            device_ms REAL, device_ms_iqr REAL, timing_n INTEGER, valid INTEGER NOT NULL,
            peak_memory_bytes INTEGER, status TEXT NOT NULL, error TEXT,
            started TEXT NOT NULL, ended TEXT NOT NULL, PRIMARY KEY (cache_key, machine))""",
        """CREATE TABLE suite_cells (
            suite TEXT NOT NULL, cell_id TEXT NOT NULL, cache_key TEXT NOT NULL, position INTEGER NOT NULL,
            PRIMARY KEY (suite, cell_id)) WITHOUT ROWID""",
        """CREATE TABLE protocols (
            name TEXT NOT NULL, version INTEGER NOT NULL, workload TEXT NOT NULL, metrics TEXT NOT NULL,
            PRIMARY KEY (name, version)) WITHOUT ROWID""",
    ),
    (
        # Made on another machine from per-example scores that stayed there; a_key and b_key name the results.
        """CREATE TABLE comparisons (
            a_key TEXT NOT NULL, b_key TEXT NOT NULL, line TEXT NOT NULL, PRIMARY KEY (a_key, b_key)
            ) WITHOUT ROWID""",
    ),
)

SCHEMA_VERSION = len(MIGRATIONS)
