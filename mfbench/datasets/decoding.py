"""Image files decoded when they are asked for; a damaged one is named."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from mfbench.datasets.damage import said
from mfbench.datasets.plain_images import GREY_MODES, require_plain
from mfbench.datasets.preprocessing import Levels
from mfbench.errors import UserError


def decode(path: Path) -> Levels:
    """(1, h, w) of a grey image, (3, h, w) of any other, upright as EXIF says, without its transparency.

    UserError, naming the file, where it cannot be decoded to its last pixel, has more than 8 bits or several
    pictures, and where a JPEG or PNG file is damaged in the middle, which Pillow alone passes over.
    """
    content = _content(path)
    with _named(path):
        _require_sound(content)
        with Image.open(io.BytesIO(content)) as image:
            require_plain(path, image)
            image.load()
            upright = ImageOps.exif_transpose(image)
            levels = np.asarray(upright.convert("L" if image.mode in GREY_MODES else "RGB"))
    return levels[None] if levels.ndim == 2 else levels.transpose(2, 0, 1)


def require_whole(path: Path) -> None:
    """UserError, naming the file, where it is cut off, damaged as far as its format can tell, or no image.

    What is compressed in a JPEG file is read to its end without making pixels of it, and a PNG file's
    checksums are compared: a folder is looked through before a run starts. Other formats are decoded.
    """
    content = _content(path)
    with _named(path):
        checked = _require_sound(content)
    if not checked:
        decode(path)


@dataclass(frozen=True)
class Header:
    """What an image file says of itself before its pixels: whether they are compressed by JPEG, and grey."""

    jpeg: bool
    grey: bool
    height: int
    width: int


def read_header(path: Path) -> Header:
    """By the file's content, whatever its name ends in; UserError, naming the file, where it is no image, or
    one that is not read (`plain_images`).
    """
    with _named(path), Image.open(path) as image:
        require_plain(path, image)
        compression = image.info.get("compression") if image.format == "TIFF" else None
        jpeg = image.format in ("JPEG", "MPO") or compression in ("jpeg", "tiff_jpeg")
        return Header(jpeg, image.mode in GREY_MODES, image.height, image.width)


def _content(path: Path) -> bytes:
    with _named(path):
        return path.read_bytes()


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Whatever goes wrong inside, as one line that names the file."""
    try:
        yield
    except UserError:
        raise
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except UnidentifiedImageError:
        raise UserError(f"{path}: no image, or damaged from its beginning") from None
    except PermissionError as error:
        raise UserError(f"{path}: {error.strerror}") from None
    except Exception as error:  # a reader of images may stumble over a damaged file in any way
        raise UserError(f"{path}: damaged image ({said(error)})") from None


def _require_sound(content: bytes) -> bool:
    """Whether the format tells damage in the middle; an exception where there is some."""
    if content.startswith(_JPEG):
        return _read_jpeg_strictly(content)
    if content.startswith(_PNG):
        with Image.open(io.BytesIO(content)) as image:
            image.verify()
        return True
    return False


_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
"""How a file begins."""


def _read_jpeg_strictly(content: bytes) -> bool:
    """An exception for what libjpeg merely warns of: too few or too many bytes, codes that do not exist.

    It is asked for an eighth of the size: all codes are read, and hardly a pixel is made. False for a header
    that is damaged or of a kind that only Pillow reads.
    """
    try:
        _, _, colours, _ = simplejpeg.decode_jpeg_header(content)
    except ValueError:
        return False
    target = "CMYK" if colours in ("CMYK", "YCCK") else "GRAY"
    simplejpeg.decode_jpeg(
        content, target, fastdct=True, fastupsample=True, min_height=1, min_width=1, min_factor=8
    )
    return True


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
