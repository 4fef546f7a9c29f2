"""MNIST and Fashion-MNIST, as published: images and labels in gzipped IDX files.

IDX (LeCun et al.): two zero bytes, the type (8: unsigned byte), the number of dimensions d, d big-endian
32-bit sizes, then the values in C order.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mfbench.datasets.damage import said
from mfbench.datasets.hashes import damaged_gzip
from mfbench.datasets.images import RawImages
from mfbench.datasets.sources import SourceFile
from mfbench.datasets.stored import StoredImages
from mfbench.errors import UserError

_UNSIGNED_BYTE = 8
_MOST_DIMENSIONS = 8
_CHUNK = 1 << 20

MOST_BYTES = 1 << 30
"""Of one file: more than any set in this layout has, and a small gzip file can say any size."""


def read_idx(path: Path) -> NDArray[np.uint8]:
    """The array in a gzipped IDX file of unsigned bytes; UserError for anything else, naming the file."""
    try:
        with gzip.open(path) as stream:
            shape = _read_shape(path, stream)
            count = math.prod(shape)
            values = stream.read(count) if count <= MOST_BYTES else b""
            following = len(values) + _skip(stream)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise damaged_gzip(path, error) from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({said(error)})") from None
    if not count:
        raise UserError(f"{path}: its header says that it holds nothing")
    if following != count or count > MOST_BYTES:
        sizes = " x ".join(map(str, shape))
        raise UserError(f"{path}: its header says {sizes} = {count} bytes, {following} follow")
    return np.frombuffer(values, dtype=np.uint8).reshape(shape)


def _read_shape(path: Path, stream: gzip.GzipFile) -> tuple[int, ...]:
    begin = stream.read(4)
    if len(begin) < 4 or begin[:3] != bytes([0, 0, _UNSIGNED_BYTE]):
        raise UserError(
            f"{path}: no IDX file of unsigned bytes (it begins with {begin.hex(' ') or 'nothing'})"
        )
    dimensions = begin[3]
    if dimensions > _MOST_DIMENSIONS:
        raise UserError(f"{path}: its IDX header says {dimensions} dimensions, at most {_MOST_DIMENSIONS}")
    sizes = stream.read(4 * dimensions)
    if len(sizes) < 4 * dimensions:
        raise UserError(
            f"{path}: its IDX header of {4 + 4 * dimensions} bytes is cut off after {4 + len(sizes)}"
        )
    return struct.unpack(f">{dimensions}I", sizes)


def _skip(stream: gzip.GzipFile) -> int:
    """The bytes from here to the end, none of which are kept."""
    return sum(map(len, iter(lambda: stream.read(_CHUNK), b"")))


class IdxImages(StoredImages):
    """Base of the sets in the four IDX files of MNIST's layout, `sources` in the order of `_FILES`."""

    native = (1, 28, 28)
    classes: ClassVar[tuple[str, ...]]

    def part(self, name: str) -> RawImages:
        first = 0 if name == "train" else 2
        image_file, label_file = (self.path(source) for source in self.sources[first : first + 2])
        images, labels = read_idx(image_file), read_idx(label_file)
        if images.ndim != 3 or images.shape[1:] != self.native[1:]:
            raise UserError(f"{image_file}: holds an array of shape {images.shape}, not images of 28 x 28")
        if labels.shape != images.shape[:1]:
            raise UserError(
                f"{label_file}: {labels.shape} labels for the {len(images)} images of {image_file.name}"
            )
        if labels.max() >= len(self.classes):
            raise UserError(f"{label_file}: a label is {labels.max()}, beyond {len(self.classes)} classes")
        return RawImages(images[:, None], y=labels.astype(np.int64), names={"classes": self.classes})


_FILES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)


def _sources(folder: str, mirrors: tuple[str, ...], *hashes: str) -> tuple[SourceFile, ...]:
    """`hashes`: of the uncompressed files, since mirrors differ in the gzip wrapper."""
    return tuple(
        SourceFile(f"{folder}/{file}", sha256, tuple(f"{mirror}/{file}" for mirror in mirrors), gunzip=True)
        for file, sha256 in zip(_FILES, hashes, strict=True)
    )


class Mnist(IdxImages):
    """MNIST (LeCun et al. 1998): handwritten digits, 28 x 28 grey, 60,000 for training, 10,000 for test."""

    name = "mnist"
    classes = tuple("0123456789")
    sources = _sources(
        "mnist",
        (
            "https://ossci-datasets.s3.amazonaws.com/mnist",
            "https://storage.googleapis.com/cvdf-datasets/mnist",
        ),
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    )


class FashionMnist(IdxImages):
    """Fashion-MNIST (Xiao et al. 2017): clothes, 28 x 28 grey, 60,000 for training and 10,000 for test."""

    name = "fashion_mnist"
    classes = (
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    )
    sources = _sources(
        "fashion-mnist",
        ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",),
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    )
