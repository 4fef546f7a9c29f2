"""The images in a folder that the user names, of any size and format; its sub-folders are the classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from mfbench.contracts import FileRef
from mfbench.datasets.decoding import Header, decode, read_header, require_whole
from mfbench.datasets.folder_names import image_names
from mfbench.datasets.hashes import folder_hash
from mfbench.datasets.images import Labels, RawImages
from mfbench.datasets.preprocessing import Levels, Pixels, Preprocessing, Shape
from mfbench.datasets.stored import StoredImages
from mfbench.errors import UserError


class ImageFolder(StoredImages):
    """Images of a folder, central squares at one size; a fifth for the test, a tenth of the rest for val.

    Sub-folders of the first level are the classes, in alphabetical order; without any there are no labels.
    """

    name = "image_folder"
    official = ("all",)
    decodes = True
    reads = "reads the folder that its parameter `folder` names"

    def __init__(
        self,
        *,
        folder: FileRef | None = None,
        size: int = 64,
        channels: Literal["grey", "rgb"] = "rgb",
        jpeg_quality: int | None = None,
        dequantise: bool = False,
        jpeg_size: int | None = None,
        count: int | None = None,
        test_count: int | None = None,
        seed: int = 0,
    ) -> None:
        """`folder` must be given. `size`: at most the shorter side of the smallest image."""
        self.native = (3 if channels == "rgb" else 1, size, size)
        super().__init__(
            size=size,
            channels=channels,
            jpeg_quality=jpeg_quality,
            dequantise=dequantise,
            jpeg_size=jpeg_size,
            count=count,
            test_count=test_count,
            seed=seed,
        )
        left_out = ("classes", "upside_down")
        common = {name: value for name, value in self.parameters.items() if name not in left_out}
        self.parameters = {**common, "folder": folder}
        self._given = folder

    @property
    def folder(self) -> Path:
        """The folder named; UserError where none is."""
        if self._given is None:
            raise UserError(f'{self.name} needs a folder: folder = "PATH"')
        return Path(self._given).expanduser()

    def files(self) -> Mapping[str, str]:
        """One SHA-256 of the names and contents of all images; UserError for one that cannot be prepared."""
        for name, header in zip(self._names, self._headers, strict=True):
            _check(self.folder / name, self.preprocessing, (1, header.height, header.width))
        return {"folder": folder_hash(self.folder, self._names, require_whole)}

    @cached_property
    def _names(self) -> list[str]:
        return image_names(self.folder)

    def check_preprocessing(self) -> None:
        """What can be said without the images, whose sizes differ: `files` checks each by its header."""
        self.preprocessing.check_choices()
        if self.native[1] < 1:
            raise UserError(f"size = {self.native[1]}: at least 1")

    @cached_property
    def _headers(self) -> list[Header]:
        return [read_header(self.folder / name) for name in self._names]

    @property
    def from_jpeg(self) -> bool:
        """Whether any file is a JPEG, by its content."""
        return any(header.jpeg for header in self._headers)

    @property
    def sides(self) -> tuple[int, int]:
        """Of all images if they pass through JPEG here, of those that are JPEG otherwise."""
        again = self.preprocessing.jpeg_quality is not None
        sides = [min(header.height, header.width) for header in self._headers if again or header.jpeg]
        return min(sides), max(sides)

    def part(self, name: str) -> RawImages:
        paths = [self.folder / each for each in self._names]
        y, classes = self._labels()
        names = {"classes": classes} if classes else {}
        return RawImages(_PreparedFiles(paths, self.preprocessing, self.native), y=y, names=names)

    def _labels(self) -> tuple[Labels | None, tuple[str, ...]]:
        inside = [name.partition("/")[0] if "/" in name else "" for name in self._names]
        classes, labels = np.unique(inside, return_inverse=True)
        if "" not in classes:
            return labels.astype(np.int64), tuple(classes.tolist())
        if len(classes) == 1:
            return None, ()
        stray = self.folder / self._names[inside.index("")]
        raise UserError(f"{stray}: lies beside the sub-folders that are the classes; put it into one of them")

    def levels(self, pixels: Pixels) -> Levels:
        """The images are of different sizes: each is prepared by itself when it is read."""
        made: Levels = pixels[:]
        return made

    @classmethod
    def download(cls, folder: Path) -> None:
        raise UserError(f"{cls.name} {cls.reads}: there is nothing to download")

    @classmethod
    def check(cls, folder: Path) -> Sequence[str]:
        raise UserError(f"{cls.name} {cls.reads}: there is nothing to check in {folder}")


@dataclass(frozen=True)
class _PreparedFiles:
    """Image files as `Pixels`: (n, *shape), decoded and prepared one by one when they are read."""

    paths: Sequence[Path]
    preprocessing: Preprocessing
    shape: Shape

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, rows: slice | Labels, /) -> Levels | _PreparedFiles:
        if isinstance(rows, slice):
            paths = self.paths[rows]
            levels = np.empty((len(paths), *self.shape), dtype=np.uint8)
            for image, path in zip(levels, paths):
                image[:] = self._prepare(path)
            return levels
        return replace(self, paths=[self.paths[row] for row in rows])

    def _prepare(self, path: Path) -> Levels:
        image = decode(path)
        native = (image.shape[0], image.shape[1], image.shape[2])
        _check(path, self.preprocessing, native)
        prepared: Levels = self.preprocessing.levels(image[None], native)[0]
        return prepared


def _check(path: Path, preprocessing: Preprocessing, native: Shape) -> None:
    """UserError, naming the file, where the preprocessing cannot be done to it."""
    try:
        preprocessing.check(native)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
