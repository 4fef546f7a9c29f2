"""CelebA (Liu et al. 2015), aligned and cropped: faces with 40 attributes, partitions and identities.

The official layout, below the data folder:

    celeba/img_align_celeba/000001.jpg ...     202,599 JPEG files, 218 x 178
    celeba/list_attr_celeba.txt                count; names of the attributes; file, then 1 or -1 for each
    celeba/list_eval_partition.txt             file, then 0 (train), 1 (val) or 2 (test)
    celeba/identity_CelebA.txt                 file, then the person's number

The three lists must name the same images, each of them once, and every image named must be there; others in
the folder are left alone. Fewer images than the official ones will do: subsets in the same layout work.
`mfbench data check celeba` says whether the lists are the official ones.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfbench.datasets.archives import extract
from mfbench.datasets.celeba_lists import PARTS, FaceLists, read_lists
from mfbench.datasets.decoding import DecodedFiles, read_header, require_whole
from mfbench.datasets.hashes import file_hash, folder_hash
from mfbench.datasets.images import RawImages
from mfbench.datasets.preprocessing import Channels
from mfbench.datasets.sources import SourceFile, problems
from mfbench.datasets.stored import StoredImages
from mfbench.errors import UserError
from mfbench.paths import data_root
from mfbench.spelling import did_you_mean

_HEIGHT, _WIDTH = 218, 178
_IMAGES = "celeba/img_align_celeba"
_OFFICIAL_COUNT = 202_599


class CelebA(StoredImages):
    """CelebA: faces in RGB with 40 binary attributes; people of one split are in no other."""

    name = "celeba"
    official = ("train", "val", "test")
    decodes = True
    archive = SourceFile(
        "celeba/img_align_celeba.zip", "46fb89443c578308acf364d7d379fe1b9efb793042c0af734b6112e4fd3a8c74"
    )
    sources = (
        SourceFile(
            "celeba/list_attr_celeba.txt", "f0e5da289d5ccf75ffe8811132694922b60f2af59256ed362afa03fefba324d0"
        ),
        SourceFile(
            "celeba/list_eval_partition.txt",
            "fc955bcb3ef8fbdf7d5640d9a8693a8431b5f2ee291a5c1449a1549e7e073fe7",
        ),
        SourceFile(
            "celeba/identity_CelebA.txt", "c6143857c3e2630ac2da9f782e9c1232e5e59be993a9d44e8a7916c78a6158c0"
        ),
    )
    how_to_get = (
        "its licence (research only) forbids passing it on; get img_align_celeba.zip, list_attr_celeba.txt, "
        "list_eval_partition.txt and identity_CelebA.txt from "
        "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html, put them into {folder}/celeba and run this again"
    )

    def __init__(
        self,
        *,
        crop: int = 140,
        size: int | None = None,
        channels: Channels = "native",
        jpeg_quality: int | None = None,
        dequantise: bool = False,
        jpeg_size: int | None = None,
        upside_down: bool = False,
        count: int | None = None,
        test_count: int | None = None,
        label: str | None = None,
        seed: int = 0,
    ) -> None:
        """`crop`: side of the central square, 1 to 178; 140 as in Song et al. (2021). `label`: the attribute
        that is the class y, 1 where it holds ("Male" in the paper's section 4); None: there are no classes.
        """
        if not 1 <= crop <= _WIDTH:
            raise UserError(f"crop = {crop}: between 1 and {_WIDTH}, the width of CelebA's images")
        self.native = (3, crop, crop)
        super().__init__(
            size=size,
            channels=channels,
            jpeg_quality=jpeg_quality,
            dequantise=dequantise,
            jpeg_size=jpeg_size,
            upside_down=upside_down,
            count=count,
            test_count=test_count,
            seed=seed,
        )
        common = {name: value for name, value in self.parameters.items() if name != "classes"}  # no labels
        self.parameters = {**common, "crop": crop, "label": label}
        self._label = label
        self._crop = crop

    def files(self) -> Mapping[str, str]:
        """SHA-256 of the three lists, official or not, and one of all images listed, which are looked at."""
        root, names = data_root(), self._lists.names
        try:
            lists = {source.path: file_hash(source.find(root, self.name)) for source in self.sources}
            return {**lists, _IMAGES: folder_hash(root / _IMAGES, names, _require_aligned)}
        except FileNotFoundError as error:
            raise UserError(f"{error.filename}: {_NOT_THERE}") from None
        except OSError as error:
            raise UserError(f"{error.filename}: {error.strerror}") from None

    @property
    def from_jpeg(self) -> bool:
        return True  # at full size, of qualities nobody published

    def part(self, name: str) -> RawImages:
        lists = self._lists
        rows = np.flatnonzero(lists.part == PARTS.index(name))
        if name == "train":  # the official parts share nobody; this holds for whatever is in the folder
            elsewhere = lists.identity[lists.part != PARTS.index("train")]
            rows = rows[~np.isin(lists.identity[rows], elsewhere)]
        elif name == "val":
            rows = rows[~np.isin(lists.identity[rows], lists.identity[lists.part == PARTS.index("test")])]
        if not len(rows):
            raise UserError(
                f"{self.path(self.sources[1])}: lists no image for {name} of people that no later split shows"
            )
        folder = data_root() / _IMAGES
        y, classes = self._labelled(lists.attributes[rows])
        return RawImages(
            DecodedFiles([folder / lists.names[row] for row in rows], (_HEIGHT, _WIDTH), self._crop),
            y=y,
            attributes=lists.attributes[rows],
            identity=lists.identity[rows],
            names={"attributes": lists.attribute_names, **classes},
        )

    def _labelled(self, attributes: NDArray[Any]) -> tuple[NDArray[Any] | None, dict[str, tuple[str, ...]]]:
        """The labels (n,) of attributes (n, 40), and the names of what they mean."""
        label, names = self._label, self._lists.attribute_names
        if label is None:
            return None, {}
        if label not in names:
            raise UserError(f"celeba: label: no attribute {label!r}{did_you_mean(label, names)}")
        return attributes[:, names.index(label)], {"classes": (f"not {label}", label)}

    @cached_property
    def _lists(self) -> FaceLists:
        attributes, partition, identity = (source.find(data_root(), self.name) for source in self.sources)
        return read_lists(attributes, partition, identity)

    @classmethod
    def download(cls, folder: Path) -> None:
        """Unpack the images, where their archive lies in the folder and one of them does not; UserError says
        where all is found, or which listed image is not there.
        """
        archive = folder / cls.archive.path
        if archive.is_file() and not _is_unpacked(archive):
            cls.archive.hash(folder, cls.name)
            _require_zip(archive)
            extract(archive, archive.parent)
        if cls.missing(folder):
            raise UserError(f"{cls.name} cannot be downloaded: {cls.how_to_get.format(folder=folder)}")
        paths = [folder / source.path for source in cls.sources]
        for name in read_lists(*paths).names:
            if not (folder / _IMAGES / name).exists():
                raise UserError(f"{folder / _IMAGES / name}: {_NOT_THERE}")

    @classmethod
    def missing(cls, folder: Path) -> Sequence[str]:
        return [*super().missing(folder), *([] if (folder / _IMAGES).is_dir() else [_IMAGES])]

    @classmethod
    def check(cls, folder: Path) -> Sequence[str]:
        """Lists that are missing or not the official ones, images that are missing or damaged."""
        wrong = list(_unofficial(cls.sources, folder, cls.name))
        images = folder / _IMAGES
        found = sum(1 for _ in images.glob("*.jpg")) if images.is_dir() else 0
        if found != _OFFICIAL_COUNT:
            wrong.append(f"{images}: holds {found} of {_OFFICIAL_COUNT} images (*.jpg)")
        return [*wrong, *_damaged(images)]

    @classmethod
    def unverified(cls, folder: Path) -> Sequence[str]:
        """The archive of the images has a published SHA-256, the images themselves have not."""
        if not (folder / _IMAGES).is_dir():
            return []
        return [f"{_IMAGES}/*.jpg have no published SHA-256, only the archive they came in has"]


_NOT_THERE = (
    "no such file, though list_attr_celeba.txt lists it; where img_align_celeba.zip lies in celeba/, "
    "`mfbench data download celeba` unpacks it; without it, take the image out of all three lists"
)


def _is_unpacked(archive: Path) -> bool:
    """Whether all files of the archive lie beside it at their full size; False where it is no zip file."""
    try:
        with zipfile.ZipFile(archive) as opened:
            members = opened.infolist()
    except (zipfile.BadZipFile, ValueError):
        return False
    return all(
        _has_size(archive.parent / each.filename, each.file_size) for each in members if not each.is_dir()
    )


def _has_size(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except FileNotFoundError:
        return False


def _require_zip(archive: Path) -> None:
    if not zipfile.is_zipfile(archive):
        raise UserError(f"{archive}: cut off, or no zip file; remove it and fetch it again")


def _unofficial(sources: Sequence[SourceFile], folder: Path, name: str) -> Iterator[str]:
    """Lists that are missing, cannot be read, or are others than the official ones, a line each."""
    for source in sources:
        path = folder / source.path
        found = next(problems([replace(source, sha256="")], folder, name), None)
        if found is not None:
            yield found
        elif (own := file_hash(path)) != source.sha256:
            yield (
                f"{path}: its SHA-256 is {own}, not {source.sha256}: not the official list "
                "(a subset may be used as it is)"
            )


def _require_aligned(path: Path) -> None:
    """UserError, naming the file, unless it is a whole image as CelebA's aligned ones are."""
    require_whole(path)
    header = read_header(path)
    if header.grey or (header.height, header.width) != (_HEIGHT, _WIDTH):
        found = f"{header.height} x {header.width} {'grey' if header.grey else 'RGB'}"
        raise UserError(f"{path}: is {found}, not {_HEIGHT} x {_WIDTH} RGB (height x width)")


_MOST_TOLD = 10


def _damaged(images: Path) -> Sequence[str]:
    """The first images that are damaged or of another size, a line each."""

    def problems_of(path: Path) -> Iterator[str]:
        try:
            _require_aligned(path)
        except UserError as problem:
            yield str(problem)

    found = (problem for path in sorted(images.glob("*.jpg")) for problem in problems_of(path))
    told = list(islice(found, _MOST_TOLD + 1))
    return [*told[:_MOST_TOLD], *([f"{images}: and more of them"] if len(told) > _MOST_TOLD else [])]
