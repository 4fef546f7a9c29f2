"""Opens a store file: says what is wrong with one that is not a store, and brings an old one up to date."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TypeGuard

from mfbench.errors import UserError
from mfbench.store.migrations import MIGRATIONS, SCHEMA_VERSION

APPLICATION_ID = 0x6D666263  # "mfbc": tells a store from any other SQLite file
_MAGIC = b"SQLite format 3\0"
_PATIENCE_S = 30.0
_OUR_MISTAKES = (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_MISUSE, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_RANGE)
_ADVICE = {
    sqlite3.SQLITE_FULL: "make room on the disk and run again: what was committed is kept",
    sqlite3.SQLITE_IOERR: "see whether the disk is full or failing: what was committed is kept",
    sqlite3.SQLITE_CORRUPT: "the file is damaged: restore a copy, or choose another --store",
    sqlite3.SQLITE_BUSY: "another process holds it: wait for it",
}


def open_database(path: Path, create: bool) -> sqlite3.Connection:
    """A connection in WAL mode to a store with the present schema; UserError where `path` is no store."""
    _check_file(path, create)
    try:
        connection = sqlite3.connect(path, timeout=_PATIENCE_S, isolation_level=None)
    except sqlite3.Error as error:
        raise cannot_be_used(path, error) from None
    try:
        _check_owner(connection, path)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA temp_store = MEMORY")
        migrate(connection)
    except sqlite3.Error as error:
        connection.close()
        raise cannot_be_used(path, error) from None
    except UserError:
        connection.close()
        raise
    return connection


def is_the_files_fault(error: BaseException | None) -> TypeGuard[sqlite3.Error]:
    """Whether SQLite complains of the file, the disk or its holder, and not of a statement of ours."""
    if type(error) not in (sqlite3.DatabaseError, sqlite3.OperationalError):
        return False
    code = getattr(error, "sqlite_errorcode", None)  # None: text that is no UTF-8
    return code is None or code & 0xFF not in _OUR_MISTAKES


def cannot_be_used(path: Path, error: sqlite3.Error) -> UserError:
    """What to tell of an error with a store's file, in one line."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    advice = _ADVICE.get(code, "choose another --store")
    return UserError(f"{path}: the store cannot be used ({error}); {advice}")


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
        if connection.in_transaction:  # SQLite ends it by itself where the disk is full
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
