"""Image sets that are read from files: found, checked, downloaded; what takes long is done once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from mfbench.datasets import prepared
from mfbench.datasets.images import RawImages
from mfbench.datasets.sources import SourceFile, problems
from mfbench.datasets.splitting import SplitImages
from mfbench.errors import UserError
from mfbench.paths import data_root


class StoredImages(SplitImages):
    """Base of the image sets in files. A subclass gives `sources` and `part`.

    sources: the files, all of which are read.
    how_to_get: for sets without public addresses, what `mfbench data download` says.
    decodes: images are decoded one by one, which is worth keeping even where nothing else is done to them.
    """

    sources: ClassVar[tuple[SourceFile, ...]] = ()
    how_to_get: ClassVar[str] = ""
    decodes: ClassVar[bool] = False

    def files(self) -> Mapping[str, str]:
        """SHA-256 by path; UserError for a file that is missing, damaged or not the official one."""
        root = data_root()
        return {source.path: source.hash(root, self.name) for source in self.sources}

    def prepared(self, split: str) -> RawImages:
        digest = self.digest  # checks the files, before anything is read or found in the cache
        if self.preprocessing.keeps_levels and not self.decodes:
            return super().prepared(split)
        kept = prepared.recall(digest, split)
        if kept is None:
            kept = super().prepared(split)
            prepared.remember(digest, split, kept)
        return kept

    @classmethod
    def download(cls, folder: Path) -> None:
        """Fetch the files that are missing or damaged."""
        wrong = [source for source in cls.sources if not source.is_right(folder, cls.name)]
        if wrong and cls.how_to_get:
            raise UserError(f"{cls.name} cannot be downloaded: {cls.how_to_get.format(folder=folder)}")
        for source in wrong:
            source.fetch(folder, cls.name)

    @classmethod
    def missing(cls, folder: Path) -> Sequence[str]:
        """Paths of the files that are not in `folder`."""
        return [source.path for source in cls.sources if not (folder / source.path).is_file()]

    @classmethod
    def check(cls, folder: Path) -> Sequence[str]:
        """Missing, damaged and other than official files, a line each; every byte is read."""
        return list(problems(cls.sources, folder, cls.name))

    @classmethod
    def unverified(cls, folder: Path) -> Sequence[str]:
        """A line for each file without a published SHA-256: that it is the right one cannot be told."""
        remarks = []
        for source in cls.sources:
            if not source.sha256 and source.is_right(folder, cls.name):
                found = source.hash(folder, cls.name)
                remarks.append(f"{source.path} has no published SHA-256; its own is {found}")
        return remarks

    @staticmethod
    def path(source: SourceFile | str) -> Path:
        """Where a file is, in the data folder of this process."""
        return data_root() / (source if isinstance(source, str) else source.path)
