"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009): the published binary version, which holds no pickles.

A record is the label (CIFAR-100: coarse, then fine), then 32 x 32 pixels of red, of green, of blue. The files
are memory-mapped: nothing is read that is not asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from mfbench.datasets.archives import extract
from mfbench.datasets.cifar_names import COARSE, FINE, TEN
from mfbench.datasets.collected import CollectedImages
from mfbench.datasets.images import RawImages
from mfbench.datasets.npz import read_npz, require_bytes, require_numbers
from mfbench.datasets.preprocessing import Channels
from mfbench.datasets.sources import SourceFile
from mfbench.datasets.stored import StoredImages
from mfbench.errors import UserError

_PIXELS = 3 * 32 * 32
_JPEG_EACH = 200


def read_records(path: Path, label_bytes: int) -> NDArray[np.uint8]:
    """(n, label_bytes + 3072) of a binary batch, memory-mapped; UserError where it is not whole records."""
    size, record = path.stat().st_size, label_bytes + _PIXELS
    if size == 0 or size % record:
        raise UserError(
            f"{path}: {size} bytes are not whole records of {record}: cut off, or not a CIFAR batch"
        )
    return np.memmap(path, dtype=np.uint8, mode="r").reshape(-1, record)


class CifarImages(StoredImages):
    """Base of both: `archive` is what is downloaded, `sources` (train first, test last) what it holds."""

    native = (3, 32, 32)
    archive: ClassVar[SourceFile]
    label_bytes: ClassVar[int]

    def part(self, name: str) -> RawImages:
        chosen = self.sources[:-1] if name == "train" else self.sources[-1:]
        batches = [read_records(self.path(source), self.label_bytes) for source in chosen]
        records = batches[0] if len(batches) == 1 else np.concatenate(batches)
        return self._images(records, self.path(chosen[0]))

    def _images(self, records: NDArray[np.uint8], path: Path) -> RawImages:
        column, classes = self._labels()
        labels = records[:, column].astype(np.int64)
        if labels.max() >= len(classes):
            raise UserError(f"{path}: a label is {labels.max()}, beyond {len(classes)} classes")
        pixels = records[:, self.label_bytes :].reshape(-1, *self.native)
        return RawImages(pixels, y=labels, names={"classes": classes})

    def _labels(self) -> tuple[int, tuple[str, ...]]:
        """Which byte of a record is the label, and the classes' names."""
        raise NotImplementedError

    @classmethod
    def download(cls, folder: Path) -> None:
        """Fetch and unpack the archive, unless all files are right; one that is there is used, and stays."""
        if all(source.is_right(folder, cls.name) for source in cls.sources):
            return
        archive, own = folder / cls.archive.path, cls.archive.is_right(folder, cls.name)
        if not own:
            cls.archive.fetch(folder, cls.name)
        extract(archive, archive.parent)
        if not own:
            archive.unlink()


def _source(folder: str, file: str, sha256: str) -> SourceFile:
    return SourceFile(str(PurePosixPath(folder, file)), sha256)


class Cifar10(CifarImages):
    """CIFAR-10: 32 x 32 RGB, ten classes, 50,000 for training and 10,000 for test."""

    name = "cifar10"
    label_bytes = 1
    archive = SourceFile(
        "cifar10/cifar-10-binary.tar.gz",
        "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        ("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",),
    )
    sources = tuple(
        _source("cifar10/cifar-10-batches-bin", file, sha256)
        for file, sha256 in (
            ("data_batch_1.bin", "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5"),
            ("data_batch_2.bin", "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed"),
            ("data_batch_3.bin", "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67"),
            ("data_batch_4.bin", "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48"),
            ("data_batch_5.bin", "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add"),
            ("test_batch.bin", "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b"),
        )
    )

    def _labels(self) -> tuple[int, tuple[str, ...]]:
        return 0, TEN


class Cifar100(CifarImages):
    """CIFAR-100: 32 x 32 RGB, 100 classes in 20 groups, 50,000 for training and 10,000 for test."""

    name = "cifar100"
    label_bytes = 2
    archive = SourceFile(
        "cifar100/cifar-100-binary.tar.gz",
        "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
        ("https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",),
    )
    sources = (
        _source(
            "cifar100/cifar-100-binary",
            "train.bin",
            "f31298fc616915fa142368359df1c4ca2ae984d6915ca468b998a5ec6aeebf29",
        ),
        _source(
            "cifar100/cifar-100-binary",
            "test.bin",
            "d8b1e6b7b3bee4020055f0699b111f60b1af1e262aeb93a0b659061746f8224a",
        ),
    )

    def __init__(
        self,
        *,
        labels: Literal["fine", "coarse"] = "fine",
        size: int | None = None,
        channels: Channels = "native",
        jpeg_quality: int | None = None,
        dequantise: bool = False,
        jpeg_size: int | None = None,
        classes: list[int] | None = None,
        upside_down: bool = False,
        count: int | None = None,
        test_count: int | None = None,
        seed: int = 0,
    ) -> None:
        """`labels`: the 100 classes or their 20 groups."""
        super().__init__(
            size=size,
            channels=channels,
            jpeg_quality=jpeg_quality,
            dequantise=dequantise,
            jpeg_size=jpeg_size,
            classes=classes,
            upside_down=upside_down,
            count=count,
            test_count=test_count,
            seed=seed,
        )
        self.parameters = {**self.parameters, "labels": labels}
        self._fine = labels == "fine"

    def _labels(self) -> tuple[int, tuple[str, ...]]:
        return (1, FINE) if self._fine else (0, COARSE)


class Cifar10Jpeg(CollectedImages):
    """2,000 test images of CIFAR-10, 200 a class, decoded from JPEG (quality 75): not the original pixels."""

    name = "cifar10_jpeg"
    native = (3, 32, 32)
    from_quality = 75
    # Passed on as one array by those who made it; nobody publishes a SHA-256 of it.
    sources = (SourceFile("cifar10_jpeg/cifar10_jpeg_test_2k.npz"),)
    how_to_get = (
        "it has no public address; put {folder}/cifar10_jpeg/cifar10_jpeg_test_2k.npz there with the arrays "
        "images (n, 32, 32, 3) uint8, labels (n,), classes (10,), or use cifar10 with jpeg_quality = 75"
    )

    @property
    def from_jpeg(self) -> bool:
        return True

    @classmethod
    def read(cls, path: Path) -> RawImages:
        arrays = read_npz(path, {"images": (None, 32, 32, 3), "labels": (None,), "classes": (10,)})
        images = require_bytes(path, "images", arrays["images"])
        labels = require_numbers(path, "labels", arrays["labels"], 0, len(TEN) - 1)
        pixels = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
        return RawImages(pixels, y=labels, names={"classes": _names(path, arrays["classes"])})

    @classmethod
    def oddities(cls, images: RawImages) -> Sequence[str]:
        assert images.y is not None
        counts = np.bincount(images.y, minlength=len(TEN))
        if counts.tolist() == [_JPEG_EACH] * len(TEN):
            return ()
        return [f"holds {len(images)} images, not {_JPEG_EACH} of each of {len(TEN)} classes"]


def _names(path: Path, classes: NDArray[Any]) -> tuple[str, ...]:
    """Of the classes, as text."""
    try:
        return tuple(np.char.decode(np.asarray(classes, dtype="S"), "ascii").tolist())
    except (ValueError, TypeError):  # UnicodeError is a ValueError
        raise UserError(f"{path}: array 'classes' is {classes.dtype}, not ten names in ASCII") from None
