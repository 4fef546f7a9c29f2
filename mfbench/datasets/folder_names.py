"""The image files in a folder and below: all of them, or one line on why not."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from mfbench.errors import UserError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".pgm", ".ppm", ".tif", ".tiff", ".webp")


def image_names(folder: Path) -> list[str]:
    """Names of the images relative to `folder`, with slashes, in order; other files are left alone.

    UserError names what cannot be looked at and would be missed in silence: a folder that may not be read, a
    link to nothing or to a folder (which is not followed), a pipe that is called like an image.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder")
    names = sorted(path.relative_to(folder).as_posix() for path in _walk(folder) if _is_image(path))
    if not names:
        raise UserError(f"{folder}: holds no image ({', '.join(SUFFIXES)})")
    return names


def _walk(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder, onerror=_refuse):
        yield from (Path(place, name) for name in (*folders, *files))


def _refuse(error: OSError) -> NoReturn:
    raise UserError(f"{error.filename}: {error.strerror}")


def _is_image(path: Path) -> bool:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise UserError(f"{path}: a link to nothing; mend it or remove it") from None
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
    if stat.S_ISDIR(mode):
        if path.is_symlink():
            raise UserError(
                f"{path}: a link to a folder, which is not followed; put the images themselves there"
            )
        return False
    if path.suffix.lower() not in SUFFIXES:
        return False
    if not stat.S_ISREG(mode):
        raise UserError(f"{path}: no image but a pipe, socket or device; remove it")
    return True
