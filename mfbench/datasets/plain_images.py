"""Which image files are read: one picture of at most 8 bits a channel, of which nothing would be lost."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from mfbench.errors import UserError

GREY_MODES = ("1", "L", "LA")
_RGB_MODES = ("P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")

_BITS_PER_SAMPLE = 258
"""The TIFF tag."""


def require_plain(path: Path, image: Image.Image) -> None:
    """UserError, naming the file, for an opened image of which Pillow would give a part without a word.

    That is the upper 8 of 16 bits of a colour image, or the first of several pictures. The second picture of
    an MPO file, which cameras write for a preview, is not missed.
    """
    if image.mode not in (*GREY_MODES, *_RGB_MODES):
        raise UserError(f"{path}: its pixels are of Pillow's mode {image.mode!r}, not 8-bit grey or RGB")
    if _is_deep(image):
        raise UserError(
            f"{path}: its pixels have more than 8 bits a channel; convert it to 8-bit grey or RGB"
        )
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO":
        raise UserError(f"{path}: holds {frames} pictures (animated, or pages); one a file is right")


def _is_deep(image: Image.Image) -> bool:
    """Whether a channel has more than 8 bits in the file; the mode of a colour image does not tell."""
    if image.format == "TIFF":
        bits: int | tuple[int, ...] = getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE, 1)
        return max(bits if isinstance(bits, tuple) else (bits,)) > 8
    return any(_stored_deep(tile.args) for tile in getattr(image, "tile", ()))


def _stored_deep(args: object) -> bool:
    """By what Pillow gives its decoder: "RGB;16B" for PNG, ("RGB", the largest value) for PPM."""
    if isinstance(args, str):
        return ";16" in args
    return isinstance(args, tuple) and len(args) == 2 and isinstance(args[1], int) and args[1] > 255
