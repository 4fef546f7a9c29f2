"""Archives unpacked with care: nothing outside the folder, no links, no devices, all of it or nothing."""

from __future__ import annotations

import gzip
import lzma
import stat
import tarfile
import tempfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath, PureWindowsPath

from mfbench.errors import UserError

_DAMAGE = (
    tarfile.TarError,
    gzip.BadGzipFile,
    zipfile.BadZipFile,
    EOFError,
    zlib.error,
    lzma.LZMAError,
    RuntimeError,
    ValueError,  # a name that no file can have
)


def extract(archive: Path, folder: Path) -> None:
    """Unpack a .zip or (compressed) .tar file into `folder`.

    Every name is looked at before anything is written, and all is unpacked beside `folder` before the first
    file is moved in. UserError names the archive and the member that does not belong.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".unpacking-") as temporary:
            unpack = _unpack_zip if zipfile.is_zipfile(archive) else _unpack_tar
            unpack(archive, Path(temporary))
            _move_in(Path(temporary), folder)
    except _DAMAGE as error:
        raise UserError(f"{archive}: damaged archive ({error}); remove it and fetch it again") from None
    except OSError as error:  # a full disk, a folder that may not be written to
        raise UserError(f"{archive}: cannot be unpacked into {folder} ({error})") from None


def _unpack_tar(archive: Path, folder: Path) -> None:
    with tarfile.open(archive) as opened:
        members = opened.getmembers()
        for member in members:
            what = None if member.isfile() or member.isdir() else "a link or device"
            _check_member(archive, member.name, what)
        opened.extractall(folder, members, filter="data")


def _unpack_zip(archive: Path, folder: Path) -> None:
    with zipfile.ZipFile(archive) as opened:
        for member in opened.infolist():
            kind = stat.S_IFMT(member.external_attr >> 16)
            _check_member(archive, member.filename, None if kind in _PLAIN_KINDS else "a link or device")
        opened.extractall(folder)


_PLAIN_KINDS = (0, stat.S_IFREG, stat.S_IFDIR)
"""0: made on a system that has no such modes."""


def _check_member(archive: Path, name: str, what: str | None) -> None:
    if what is None and _leaves(name):
        what = "a path that leaves the folder"
    if what is not None:
        raise UserError(
            f"{archive}: {name!r} is {what}; nothing was unpacked: get the archive from its publisher"
        )


def _leaves(name: str) -> bool:
    paths = (PurePosixPath(name), PureWindowsPath(name))
    return any(path.is_absolute() or path.drive or path.root or ".." in path.parts for path in paths)


def _move_in(source: Path, folder: Path) -> None:
    """A folder that is not there yet arrives as a whole: no half of it is left if this is ended."""
    for path in list(source.iterdir()):
        target = folder / path.name
        if path.is_dir() and target.is_dir():
            _move_in(path, target)
        else:
            path.replace(target)
