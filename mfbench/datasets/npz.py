"""Arrays out of .npz files, never pickles, with their shapes checked."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfbench.errors import UserError

Array = NDArray[Any]


def read_npz(path: Path, wanted: Mapping[str, tuple[int | None, ...]]) -> dict[str, Array]:
    """The arrays of these names and shapes; None in a shape stands for n, the same for all.

    UserError, naming file and array, for a damaged archive, a missing array, one of objects or another shape.
    """
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            lacking = [name for name in wanted if name not in archive.files]
            if lacking:
                raise UserError(f"{path}: has no array {lacking[0]!r}, only {', '.join(archive.files)}")
            arrays = {name: archive[name] for name in wanted}
    except (ValueError, EOFError, OSError, zipfile.BadZipFile, zlib.error, AttributeError) as error:
        raise UserError(f"{path}: cannot be read as .npz without pickles ({error})") from None
    count = len(next(iter(arrays.values())))
    for name, shape in wanted.items():
        expected = tuple(count if size is None else size for size in shape)
        if arrays[name].shape != expected:
            raise UserError(f"{path}: array {name!r} has shape {arrays[name].shape}, not {expected}")
    return arrays


def require_bytes(path: Path, name: str, array: Array) -> NDArray[np.uint8]:
    """The array, if it is of unsigned bytes; else UserError."""
    if array.dtype != np.uint8:
        raise UserError(f"{path}: array {name!r} is {array.dtype}, not uint8")
    return array
