"""Opens a store file: says what is wrong with one that is not a store, and brings an old one up to date."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from mfbench.errors import UserError
from mfbench.store.migrations import MIGRATIONS, SCHEMA_VERSION

APPLICATION_ID = 0x6D666263  # "mfbc": tells a store from any other SQLite file
_MAGIC = b"SQLite format 3\0"
_PATIENCE_S = 30.0


def open_database(path: Path, create: bool) -> sqlite3.Connection:
    """A connection in WAL mode to a store with the present schema; UserError where `path` is no store."""
    _check_file(path, create)
    try:
        connection = sqlite3.connect(path, timeout=_PATIENCE_S, isolation_level=None)
    except sqlite3.Error as error:
        raise UserError(f"{path}: the store cannot be opened ({error}); choose another --store") from None
    try:
        _check_owner(connection, path)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA temp_store = MEMORY")
        migrate(connection)
    except sqlite3.Error as error:
        connection.close()
        raise UserError(f"{path}: the store cannot be used ({error}); choose another --store") from None
    except UserError:
        connection.close()
        raise
    return connection


def migrate(connection: sqlite3.Connection) -> None:
    """Apply the steps the file has not seen, all or none."""
    if _version(connection) == SCHEMA_VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statements in MIGRATIONS[_version(connection) :]:
            for statement in statements:
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _check_file(path: Path, create: bool) -> None:
    if path.is_dir():
        raise UserError(f"{path}: is a folder; a store is a file, {path / 'results.sqlite'} for example")
    if not path.exists():
        if not create:
            raise UserError(f"{path}: there is no store; `mfbench run SUITE --store {path}` makes one")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"{path}: its folder cannot be made ({error.strerror}); choose another") from None
        return
    try:
        with path.open("rb") as file:
            head = file.read(len(_MAGIC))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    if head and head != _MAGIC:
        raise UserError(f"{path}: is not a store (not an SQLite file); choose another --store")


def _check_owner(connection: sqlite3.Connection, path: Path) -> None:
    owner = connection.execute("PRAGMA application_id").fetchone()[0]
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if tables and owner != APPLICATION_ID:
        raise UserError(f"{path}: is an SQLite file, but not a store of mfbench; choose another --store")
    version = _version(connection)
    if version > SCHEMA_VERSION:
        raise UserError(
            f"{path}: was written by a newer mfbench (schema {version}; this one knows {SCHEMA_VERSION}): "
            "upgrade mfbench, or choose another --store"
        )


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
