"""Files and fits that travel by hash: to a worker that lacks them, and back from the one that made them.

A parcel is `{"kind": "file" | "fit", "key", "root"}`: of a file or folder, `key` is the SHA-256 of its
content and `root` its name; of a fit, `key` is the fit's. Both sides keep them under their own MFBENCH_CACHE:

    MFBENCH_CACHE/parcels/<key>/<root>        files and folders
    MFBENCH_CACHE/fits/<key[:2]>/<key>        fits, where every artifact lies

What is received is checked before it is put in place under its name, as a whole. Files of the same bytes
may have several names: a plugin's name counts, and what lies under one is not found under another.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from mfbench import artifacts
from mfbench.paths import cache_root
from mfbench.plan.values import content_hash

Parcel = dict[str, str]

Places = Mapping[str, str]
"""Paths of files and folders on this machine, by the SHA-256 of their content."""

CHUNK = 8 << 20
"""Bytes sent at a time."""


class DamagedParcelError(Exception):
    """What came is not what was sent."""


def fit_parcel(key: str) -> Parcel:
    """The parcel of a fit's artifact."""
    return {"kind": "fit", "key": key, "root": ""}


def file_parcel(path: str, sha256: str) -> Parcel:
    """The parcel of a file or folder."""
    return {"kind": "file", "key": sha256, "root": Path(path).name}


def place_of(parcel: Parcel) -> Path:
    """Where a parcel lies on this machine, or will."""
    if parcel["kind"] == "fit":
        return artifacts.artifact_folder(cache_root(), parcel["key"])
    return cache_root() / "parcels" / parcel["key"] / parcel["root"]


def is_here(parcel: Parcel) -> bool:
    """Whether a parcel was received, or made, here. A fit's content is checked by whoever uses it."""
    place = place_of(parcel)
    if parcel["kind"] == "fit":
        return (place / artifacts.HEADER).is_file()
    return _has_content(place, parcel["key"])


def find_file(path: str, sha256: str) -> str | None:
    """The path on this machine of a file or folder with that content: its own, or that of a parcel."""
    if _has_content(Path(path), sha256):
        return path
    parcel = file_parcel(path, sha256)
    return str(place_of(parcel)) if is_here(parcel) else None


def _has_content(path: Path, sha256: str) -> bool:
    """Whether `path` is there with that content; hashed again where it changed."""
    try:
        files = {"": path.stat()} | {name: (path / name).stat() for name in names_in(path) if name}
        version = tuple((name, file.st_mtime_ns, file.st_size) for name, file in files.items())
        return _hash_of_version(path, version) == sha256
    except OSError:
        return False


@lru_cache(maxsize=1024)
def _hash_of_version(path: Path, version: tuple[tuple[str, int, int], ...]) -> str:
    """version: name, time of change in nanoseconds, and bytes of each file."""
    return content_hash(path)


def names_in(folder: Path) -> list[str]:
    """The files of a parcel that lies at `folder`, relative to it; [""] where it is a file itself."""
    if folder.is_file():
        return [""]
    return [file.relative_to(folder).as_posix() for file in sorted(folder.rglob("*")) if file.is_file()]


def read_chunk(place: str, name: str, offset: int) -> tuple[bytes, bool]:
    """A part of a file of a parcel, and whether it is the last."""
    with (Path(place) / name if name else Path(place)).open("rb") as stream:
        stream.seek(offset)
        data = stream.read(CHUNK)
        return data, not stream.read(1)


def write_chunk(parcel: Parcel, ticket: str, name: str, offset: int, data: bytes) -> None:
    """Keep a part of a parcel that is on its way."""
    root = _waiting_room(parcel, ticket) / parcel["root"]
    file = root / name if name else root
    if not file.resolve().is_relative_to(root.resolve()):
        raise DamagedParcelError(f"{name!r} leaves the parcel's folder")
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("r+b" if offset else "wb") as stream:
        stream.seek(offset)
        stream.write(data)


def put_in_place(parcel: Parcel, ticket: str) -> None:
    """All parts came: check them and give the parcel its name; DamagedParcelError where they are wrong."""
    room = _waiting_room(parcel, ticket)
    try:
        if parcel["kind"] == "fit":
            artifacts.adopt(cache_root(), parcel["key"], room)
            return
        if content_hash(room / parcel["root"]) != parcel["key"]:
            raise DamagedParcelError(f"{parcel['root']}: its SHA-256 is not the one it was sent under")
        _move(room / parcel["root"], place_of(parcel), parcel["key"])
    finally:
        shutil.rmtree(room, ignore_errors=True)


def _move(found: Path, place: Path, key: str) -> None:
    """Give what was checked its name, beside other names of the same bytes; other bytes there make way."""
    place.parent.mkdir(exist_ok=True)
    if _has_content(place, key):
        return
    with suppress(FileNotFoundError):
        place.rename(found.with_name(f"{found.name}.damaged"))  # goes with the waiting room
    try:
        found.rename(place)
    except OSError:  # a folder that another run put there meanwhile
        if not _has_content(place, key):
            raise


def _waiting_room(parcel: Parcel, ticket: str) -> Path:
    place = place_of(parcel)
    folder = place if parcel["kind"] == "fit" else place.parent
    return folder.with_name(f".{parcel['key']}.{ticket}")


def made_here(key: str) -> list[str]:
    """The files of a fit's artifact on this machine; [] where there is none."""
    parcel = fit_parcel(key)
    return names_in(place_of(parcel)) if is_here(parcel) else []


def read_fit_chunk(key: str, name: str, offset: int) -> tuple[bytes, bool]:
    """A part of a fit's artifact on this machine."""
    return read_chunk(str(place_of(fit_parcel(key))), name, offset)


def files_in(job: Any) -> dict[str, str]:
    """The files that a job's parameters name, as `Places`."""
    if isinstance(job, Mapping):
        if job.keys() == {"file", "sha256"}:
            return {job["sha256"]: job["file"]}
        job = list(job.values())
    found: dict[str, str] = {}
    for item in job if isinstance(job, list) else ():
        found |= files_in(item)
    return found
