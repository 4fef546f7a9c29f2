"""Fetches a file: resumed where it broke off, checked by SHA-256, and put in place whole or not at all.

What has arrived is kept in the cache folder until it is complete, so the data folder never holds a part of a
file, and the next attempt asks the server (HTTP Range) for the rest only.
"""

from __future__ import annotations

import http.client
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from mfbench.datasets.hashes import file_hash
from mfbench.errors import UserError
from mfbench.identity import sha256_of
from mfbench.paths import cache_root
from mfbench.version import __version__

_TIMEOUT_S = 30.0
_CHUNK = 1 << 18
_PARTIAL, _NOT_SATISFIABLE = 206, 416


def fetch(urls: Sequence[str], target: Path, sha256: str, *, gunzip: bool = False) -> None:
    """Download to `target` from the first address that works.

    `sha256` is that of the bytes, or with `gunzip` of what the gzip wrapper holds. UserError, in one line,
    where no address can be reached or what arrived is something else; `target` is then untouched.
    """
    failures = []
    for url in urls:
        try:
            _fetch_from(url, target, sha256, gunzip)
            return
        except _Failure as failure:
            failures.append(f"{url} ({failure})")
        except OSError as error:  # a full disk, a folder that may not be written to
            raise UserError(f"{target}: cannot be written ({error})") from None
    raise UserError(f"{target.name} cannot be downloaded: {'; '.join(failures)}; or put the file at {target}")


class _Failure(Exception):  # noqa: N818 - told as part of a UserError
    """Why one address did not give the file."""


def _fetch_from(url: str, target: Path, sha256: str, gunzip: bool) -> None:
    part = cache_root() / "downloads" / f"{sha256_of([url, sha256])[:16]}-{target.name}"
    part.parent.mkdir(parents=True, exist_ok=True)
    resumed = part.exists()
    _receive(url, part)
    found = _hash(part, gunzip)
    if found != sha256 and resumed:  # what was there before may have been of another version of the file
        part.unlink()
        _receive(url, part)
        found = _hash(part, gunzip)
    if found != sha256:
        part.unlink()
        raise _Failure(f"what it gives has the SHA-256 {found}, not {sha256}")
    _put_in_place(part, target)


def _hash(part: Path, gunzip: bool) -> str:
    try:
        return file_hash(part, gunzip=gunzip, fresh=True)
    except UserError:
        return "of no gzip file"


def _receive(url: str, part: Path) -> None:
    """All of the file in `part`, after what is there already; _Failure leaves what has arrived."""
    have = part.stat().st_size if part.exists() else 0
    try:
        with _opened(url, have) as response:
            appends = response.status == _PARTIAL
            total = _length(response, have if appends else 0)
            with part.open("ab" if appends else "wb") as stream:
                _copy(response, stream, total, part.name)
            if total is not None and part.stat().st_size < total:
                raise _Failure(f"broke off after {part.stat().st_size} of {total} bytes; try again to go on")
    except HTTPError as error:
        if error.code == _NOT_SATISFIABLE and have:  # there is no more: the hash says whether this is all
            return
        raise _Failure(f"HTTP status {error.code}") from None
    except (URLError, http.client.HTTPException, ConnectionError, TimeoutError) as error:
        raise _Failure(f"no connection: {getattr(error, 'reason', None) or error}") from None
    finally:
        if part.exists() and part.stat().st_size == 0:
            part.unlink()


def _opened(url: str, start: int) -> Any:
    headers = {"User-Agent": f"mfbench/{__version__}", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    return urlopen(Request(url, headers=headers), timeout=_TIMEOUT_S)


def _length(response: Any, before: int) -> int | None:
    """Bytes of the whole file, where the server says."""
    length = response.headers.get("Content-Length")
    return before + int(length) if length else None


def _copy(response: Any, stream: IO[bytes], total: int | None, name: str) -> None:
    with _progress(name, total, stream.tell()) as advance:
        while chunk := response.read(_CHUNK):
            stream.write(chunk)
            advance(len(chunk))


@contextmanager
def _progress(name: str, total: int | None, done: int) -> Iterator[Any]:
    """A bar on standard error, where that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    console = Console(file=sys.stderr)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(name.partition("-")[2], total=total, completed=done)
        yield lambda count: bar.advance(task, count)


def _put_in_place(part: Path, target: Path) -> None:
    """Cache and data folder may lie on two file systems: copied beside the target, then renamed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.arriving")
    try:
        shutil.copyfile(part, beside)
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)
    part.unlink()
