"""SHA-256 of files, computed once for a file that does not change.

A hash is kept under the file's path, size, times and inode, and only once the file has been left alone for a
while: two writes within one tick of the file system's clock look alike. A cache that cannot be read or
written costs time and nothing else.
"""

from __future__ import annotations

import gzip
import hashlib
import time
import zlib
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from mfbench.errors import UserError
from mfbench.identity import sha256_of
from mfbench.paths import cache_root, write_atomically

_SETTLED_NS = 2_000_000_000
"""Nanoseconds that a file must have been left alone for its hash to be kept."""
_CHUNK = 1 << 20


def file_hash(path: Path, *, gunzip: bool = False, fresh: bool = False) -> str:
    """SHA-256 in hexadecimal of a file's bytes, or of what its gzip wrapper holds.

    `fresh` looks at the bytes whatever is kept. UserError for a damaged wrapper; OSError as `open` gives it.
    """
    compute = _gunzipped_hash if gunzip else _plain_hash
    return _kept("gunzip" if gunzip else "bytes", [path], lambda: compute(path), fresh)


def folder_hash(
    folder: Path, names: Iterable[str], check: Callable[[Path], object] | None = None, *, fresh: bool = False
) -> str:
    """SHA-256 of the names, relative to `folder`, and the hashes of these files.

    `check` is called with each file before a folder is first read as it is; what it raises is passed on.
    """
    paths = {name: folder / name for name in sorted(names)}

    def compute() -> str:
        if check is not None:
            for path in paths.values():
                check(path)
        return sha256_of({name: _plain_hash(path) for name, path in paths.items()})

    return _kept("folder", list(paths.values()), compute, fresh)


def _kept(what: str, files: Sequence[Path], compute: Callable[[], str], fresh: bool) -> str:
    """The hash kept for `what` of these files as they are now, or a new one."""
    now = time.time_ns()
    states = [_state(file) for file in files]
    settled = all(now - max(mtime, ctime) > _SETTLED_NS for _, _, mtime, ctime, _ in states)
    path = cache_root() / "hashes" / sha256_of([what, states])
    if not fresh:
        with suppress(OSError, ValueError):
            kept = path.read_text()
            if len(bytes.fromhex(kept)) == hashlib.sha256().digest_size:
                return kept
    computed = compute()
    if settled:
        with suppress(OSError):
            write_atomically(path, computed)
    return computed


def _state(path: Path) -> tuple[str, int, int, int, int]:
    """What changes when a file does, whatever its size and date are set to."""
    status = path.stat()
    return str(path.absolute()), status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


def _plain_hash(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _gunzipped_hash(path: Path) -> str:
    hasher = hashlib.sha256()
    try:
        with gzip.open(path) as stream:
            while chunk := stream.read(_CHUNK):
                hasher.update(chunk)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise damaged_gzip(path, error) from None
    return hasher.hexdigest()


def damaged_gzip(path: Path, error: Exception) -> UserError:
    """What to say of a gzip file that does not unpack."""
    said = "it ends too early" if isinstance(error, EOFError) else str(error)
    return UserError(f"{path}: damaged gzip file ({said}); remove it and fetch it again")
