"""Image files decoded when they are asked for; a damaged one is named."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from mfbench.datasets.preprocessing import Levels
from mfbench.errors import UserError

_GREY_MODES = ("1", "L", "LA")
_RGB_MODES = ("P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")


def decode(path: Path) -> Levels:
    """(1, h, w) of a grey image, (3, h, w) of any other, upright as EXIF says, without its transparency.

    UserError, naming the file, where it cannot be decoded to its last pixel, or has more than 8 bits.
    """
    try:
        with Image.open(path) as image:
            if image.mode not in (*_GREY_MODES, *_RGB_MODES):
                raise UserError(
                    f"{path}: its pixels are of Pillow's mode {image.mode!r}, not 8-bit grey or RGB"
                )
            image.load()
            upright = ImageOps.exif_transpose(image)
            levels = np.asarray(upright.convert("L" if image.mode in _GREY_MODES else "RGB"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except UnidentifiedImageError:
        raise UserError(f"{path}: no image, or damaged from its beginning") from None
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise UserError(f"{path}: damaged image ({error})") from None
    return levels[None] if levels.ndim == 2 else levels.transpose(2, 0, 1)


def require_whole(path: Path) -> None:
    """UserError, naming the file, where it is cut off or no image.

    A JPEG or PNG file that begins and ends as it should is believed without being decoded: a folder is looked
    through in a hundredth of the time, before a run starts. Damage in between is met when it is decoded.
    """
    with path.open("rb") as stream:
        start = stream.read(len(_PNG[0]))
        stream.seek(-min(_END, stream.seek(0, os.SEEK_END)), os.SEEK_END)
        end = stream.read()
    if not any(start.startswith(first) and last in end for first, last in (_JPEG, _PNG)):
        decode(path)


_JPEG, _PNG = (b"\xff\xd8\xff", b"\xff\xd9"), (b"\x89PNG\r\n\x1a\n", b"IEND")
"""How a file begins, and what is among its last bytes."""
_END = 64


@dataclass(frozen=True)
class DecodedFiles:
    """RGB files of one size as `Pixels`: (n, 3, crop, crop) from the middle of each, read a slice at a time.

    shape: height and width that each file must have.
    """

    paths: Sequence[Path]
    shape: tuple[int, int]
    crop: int

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, rows: slice | NDArray[np.int64], /) -> Levels | DecodedFiles:
        """Decoded images for a slice; for an array of rows, their files, not yet read."""
        if isinstance(rows, slice):
            paths = self.paths[rows]
            levels = np.empty((len(paths), 3, self.crop, self.crop), dtype=np.uint8)
            for image, path in zip(levels, paths):
                image[:] = self._decode(path)
            return levels
        return replace(self, paths=[self.paths[row] for row in rows])

    def _decode(self, path: Path) -> Levels:
        image = decode(path)
        if image.shape != (3, *self.shape):
            height, width = self.shape
            raise UserError(
                f"{path}: has shape {image.shape}, not RGB of {height} x {width} (height x width)"
            )
        top, left = ((side - self.crop) // 2 for side in self.shape)
        return image[:, top : top + self.crop, left : left + self.crop]
