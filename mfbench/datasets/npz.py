"""Arrays out of .npz files, never pickles, with their shapes checked before they are read."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from mfbench.datasets.damage import said
from mfbench.errors import UserError

Array = NDArray[Any]

MOST_BYTES = 1 << 30
"""Of one array: more than any set that comes as one file of arrays, and a small archive can say any size."""


def read_npz(path: Path, wanted: Mapping[str, tuple[int | None, ...]]) -> dict[str, Array]:
    """The arrays of these names and shapes; None in a shape stands for n, the same for all and at least 1.

    UserError, naming file and array, for a damaged archive, a missing array, one of objects or another shape.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist()]
            lacking = [name for name in wanted if name not in names]
            if lacking:
                others = f"only {said(', '.join(names))}" if names else "nor any other"
                raise UserError(f"{path}: has no array {lacking[0]!r}, {others}")
            _check_shapes(path, {name: _shape(path, archive, name) for name in wanted}, wanted)
            return {name: _read(archive, name) for name in wanted}
    except UserError:
        raise
    except Exception as error:  # whatever a damaged archive makes the reader stumble over
        raise UserError(f"{path}: cannot be read as .npz without pickles ({said(error)})") from None


def _shape(path: Path, archive: zipfile.ZipFile, name: str) -> tuple[int, ...]:
    """What the array's header says, held against what the archive holds."""
    member = archive.getinfo(f"{name}.npy")
    with archive.open(member) as stream:
        shape, dtype = _header(stream)
        size = stream.tell() + dtype.itemsize * int(np.prod([int(length) for length in shape], dtype=object))
    if dtype.hasobject:
        raise ValueError(f"array {name!r} holds objects")
    if size > MOST_BYTES:
        raise UserError(f"{path}: array {name!r} says it has {size} bytes; at most {MOST_BYTES} are read")
    if size != member.file_size:
        raise ValueError(f"array {name!r} says it has {size} bytes, there are {member.file_size}")
    return shape


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    elif version == (2, 0):
        shape, _, dtype = np.lib.format.read_array_header_2_0(stream)
    else:
        raise ValueError(f"version {version[0]}.{version[1]} of the format")
    return shape, dtype


def _check_shapes(
    path: Path, shapes: Mapping[str, tuple[int, ...]], wanted: Mapping[str, tuple[int | None, ...]]
) -> None:
    first = next(iter(shapes))
    count = shapes[first][0] if shapes[first] else 1
    for name, shape in wanted.items():
        expected = tuple(count if size is None else size for size in shape)
        if shapes[name] != expected:
            raise UserError(f"{path}: array {name!r} has shape {shapes[name]}, not {expected}")
    if not count:
        raise UserError(f"{path}: array {first!r} holds nothing")


def _read(archive: zipfile.ZipFile, name: str) -> Array:
    with archive.open(f"{name}.npy") as stream:
        array: Array = np.lib.format.read_array(stream, allow_pickle=False)
        stream.read()  # to the end, where the archive's checksum is compared
    return array


def require_bytes(path: Path, name: str, array: Array) -> NDArray[np.uint8]:
    """The array, if it is of unsigned bytes; else UserError."""
    if array.dtype != np.uint8:
        raise UserError(f"{path}: array {name!r} is {array.dtype}, not uint8")
    return array


def require_numbers(path: Path, name: str, array: Array, least: int, most: int) -> NDArray[np.int64]:
    """The array as int64, if it is of integers from `least` to `most`; else UserError."""
    if array.dtype.kind not in "iu":
        raise UserError(f"{path}: array {name!r} is {array.dtype}, not of integers")
    if array.min() < least or array.max() > most:
        raise UserError(f"{path}: {name} lie between {array.min()} and {array.max()}, not {least} and {most}")
    return array.astype(np.int64)
