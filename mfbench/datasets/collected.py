"""Image sets that someone collected into one array, whose SHA-256 nobody publishes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mfbench.datasets.images import RawImages
from mfbench.datasets.stored import StoredImages
from mfbench.errors import UserError


class CollectedImages(StoredImages):
    """Base of these sets: one file in `sources`. A subclass gives `read` and `oddities`."""

    official = ("all",)

    def part(self, name: str) -> RawImages:
        return self.read(self.path(self.sources[0]))

    @classmethod
    def read(cls, path: Path) -> RawImages:
        """All images of the file; UserError, naming it, where it is damaged or holds something else."""
        raise NotImplementedError

    @classmethod
    def oddities(cls, images: RawImages) -> Sequence[str]:
        """What can be read and yet is not the set of this name: fewer images than it has, for example."""
        return ()

    @classmethod
    def check(cls, folder: Path) -> Sequence[str]:
        """Missing, unreadable or other content: it is read, as there is no SHA-256 to go by."""
        wrong = list(super().check(folder))
        if wrong:
            return wrong
        path = folder / cls.sources[0].path
        try:
            images = cls.read(path)
        except UserError as problem:
            return [str(problem)]
        pixels = images.pixels[:]
        blank = int((pixels == pixels[:, :1, :1, :1]).all(axis=(1, 2, 3)).sum())
        told = [*cls.oddities(images), *([f"{blank} images are of a single colour"] if blank else [])]
        return [f"{path}: {each}" for each in told]
