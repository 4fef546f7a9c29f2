"""The one way from stored pixels to what a method is given, the same for every image data set.

    uint8 -> JPEG re-encode -> channels -> central square -> antialiased resize -> [0, 1] -> dequantise

The order is fixed. JPEG comes first, at the native size, because that is where the sets that arrive as JPEG
went through it. What it leaves depends on how far the image is reduced afterwards, so a set whose native
size is larger than the other side's is reduced to `jpeg_size` before (central square, antialiased resize).
Channels come before the resize, so that less is resized. Every step up to [0, 1] takes and
gives 8-bit levels: a resized set left in floats would lie off the grid k / 255 on which a set at its native
size lies, and an out-of-distribution score could tell the two by that alone. It is also what makes
dequantisation mean the same for both.

JPEG and resize are Pillow's. Its 8-bit resampling is fixed-point arithmetic, the same on every machine,
where `torch.nn.functional.interpolate(antialias=True)` sums floats, and a last bit would flip a level here
and there. The filter is the triangle ("bilinear") stretched by the scale, hence antialiased: unlike bicubic
and Lanczos filters it never overshoots, so nothing is clipped at the black ground of digits.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from mfbench.errors import UserError

Levels = NDArray[np.uint8]
"""8-bit pixels (n, c, h, w), c = 1 (grey) or 3 (RGB)."""

Channels: TypeAlias = Literal["native", "grey", "rgb"]

Shape = tuple[int, int, int]
"""Channels, height, width."""

_CHUNK = 1024
"""Images handled at once: what is between two steps is never a whole data set."""

_LUMA = np.array([19595, 38470, 7471], dtype=np.uint32)
"""ITU-R BT.601 luma (0.299, 0.587, 0.114) in 1/65536, the integers of Pillow's mode "L"."""


class Pixels(Protocol):
    """What images are read from: an array or a memory map, or files decoded when they are asked for.

    A slice of rows gives `Levels`; an array of rows (int64) gives `Levels` or again `Pixels`.
    """

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Any, /) -> Any: ...


@dataclass(frozen=True)
class Preprocessing:
    """The choices of one data set. `None` and "native" leave what is stored as it is.

    size: height and width in pixels, at most the native ones: images are never enlarged.
    jpeg_quality: 1 to 95, Pillow's scale.
    jpeg_size: height and width at which JPEG is applied, from `size` to the native ones; native otherwise.
    """

    size: int | None = None
    channels: Channels = "native"
    jpeg_quality: int | None = None
    dequantise: bool = False
    jpeg_size: int | None = None

    def check(self, native: Shape) -> None:
        """UserError where this cannot be done to images of the native shape."""
        self.check_choices()
        smaller = min(native[1:])
        for name, size in (("size", self.size), ("jpeg_size", self.jpeg_size)):
            if size is not None and not 1 <= size <= smaller:
                raise UserError(
                    f"{name} = {size}: between 1 and {smaller}, the native size; images are never enlarged"
                )

    def check_choices(self) -> None:
        """UserError where this can be done to no image."""
        if self.jpeg_quality is not None and not 1 <= self.jpeg_quality <= 95:
            raise UserError(f"jpeg_quality = {self.jpeg_quality}: between 1 and 95")
        if self.jpeg_size is None:
            return
        if self.jpeg_quality is None or self.size is None:
            lacking = "jpeg_quality" if self.jpeg_quality is None else "size"
            raise UserError(
                f"jpeg_size = {self.jpeg_size}: the size at which JPEG is applied; set {lacking} too"
            )
        if self.jpeg_size < self.size:
            raise UserError(
                f"jpeg_size = {self.jpeg_size}: at least size = {self.size}; images are never enlarged"
            )

    def shape(self, native: Shape) -> Shape:
        """The shape of what comes out."""
        channels = {"native": native[0], "grey": 1, "rgb": 3}[self.channels]
        return (channels, *((self.size, self.size) if self.size else native[1:]))

    @property
    def keeps_levels(self) -> bool:
        """Whether stored levels are served as they are."""
        return self.size is None and self.channels == "native" and self.jpeg_quality is None

    def levels(self, pixels: Pixels, native: Shape) -> Levels:
        """All steps up to 8-bit levels, (n, *shape(native)), a chunk at a time."""
        if self.keeps_levels:
            return np.asarray(pixels[:])
        made = np.empty((len(pixels), *self.shape(native)), dtype=np.uint8)
        for start in range(0, len(pixels), _CHUNK):
            chunk = slice(start, start + _CHUNK)
            made[chunk] = self._chunk_levels(np.asarray(pixels[chunk]))
        return made

    def _chunk_levels(self, pixels: Levels) -> Levels:
        if self.jpeg_size is not None:
            pixels = resize(central_square(pixels), self.jpeg_size)
        if self.jpeg_quality is not None:
            pixels = reencode(pixels, self.jpeg_quality)
        if self.channels != "native":
            pixels = to_grey(pixels) if self.channels == "grey" else to_rgb(pixels)
        return pixels if self.size is None else resize(central_square(pixels), self.size)


def reencode(pixels: Levels, quality: int) -> Levels:
    """Each image through JPEG (4:2:0, as is usual) and back; same shape."""

    def through_jpeg(image: Image.Image) -> Image.Image:
        stream = io.BytesIO()
        image.save(stream, "JPEG", quality=quality, subsampling="4:2:0")
        return Image.open(stream)

    return _each(through_jpeg, pixels, pixels.shape[2:])


def to_grey(pixels: Levels) -> Levels:
    """(n, 1, h, w): BT.601 luma, rounded as Pillow does; grey images stay as they are."""
    if pixels.shape[1] == 1:
        return pixels
    luma = np.einsum("c,nchw->nhw", _LUMA, pixels, dtype=np.uint32)
    grey: Levels = ((luma + 0x8000) >> 16).astype(np.uint8)
    return grey[:, None]


def to_rgb(pixels: Levels) -> Levels:
    """(n, 3, h, w): grey three times; RGB images stay as they are."""
    return np.broadcast_to(pixels, (len(pixels), 3, *pixels.shape[2:]))


def central_square(pixels: Levels) -> Levels:
    """(n, c, s, s) from the middle, s the shorter side; where it is odd, half a pixel nearer the top left."""
    height, width = pixels.shape[2:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return pixels[:, :, top : top + side, left : left + side]


def resize(pixels: Levels, size: int) -> Levels:
    """(n, c, size, size) out of (n, c, h, w), antialiased."""
    if pixels.shape[2:] == (size, size):
        return pixels
    return _each(lambda image: image.resize((size, size), Image.Resampling.BILINEAR), pixels, (size, size))


def to_unit(levels: Levels) -> Tensor:
    """float32 in [0, 1]: k / 255."""
    return torch.from_numpy(np.ascontiguousarray(levels)).float().div_(255)


def dequantise(levels: Levels, rng: torch.Generator) -> Tensor:
    """float32 in [0, 1]: (k + u) / 256, u uniform on [0, 1).

    A density on these bounds the discrete model's log-likelihood from below (Theis et al. 2016, Sec. 3.1).
    """
    noise = torch.rand(levels.shape, generator=rng)
    return noise.add_(torch.from_numpy(np.ascontiguousarray(levels))).div_(256)


def _each(change: Callable[[Image.Image], Image.Image], pixels: Levels, size: tuple[int, ...]) -> Levels:
    """`change` applied to each image as Pillow has it; what comes out has the height and width of `size`."""
    made = np.empty((*pixels.shape[:2], *size), dtype=np.uint8)
    for index, image in enumerate(pixels):
        if len(image) == 1:
            made[index, 0] = np.asarray(change(Image.fromarray(image[0])))
        else:
            made[index] = np.asarray(change(Image.fromarray(image.transpose(1, 2, 0).copy()))).transpose(
                2, 0, 1
            )
    return made
