"""The files of a data set: where they lie, what their SHA-256 is, where they come from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mfbench.datasets.download import fetch
from mfbench.datasets.hashes import file_hash
from mfbench.errors import UserError


@dataclass(frozen=True)
class SourceFile:
    """A file below the data folder.

    path: relative to the data folder.
    sha256: as published; empty where none is known, which `mfbench data check` says.
    urls: addresses to fetch it from, tried in order; none where it comes in an archive or must be asked for.
    gunzip: the SHA-256 is that of the content, because mirrors differ in the gzip wrapper.
    """

    path: str
    sha256: str = ""
    urls: tuple[str, ...] = ()
    gunzip: bool = False

    def find(self, root: Path, name: str) -> Path:
        """Where it is; UserError where it is not. `name`: of the data set."""
        path = root / self.path
        if not path.is_file():
            raise UserError(
                f"{path}: no such file; `mfbench data download {name}` fetches it or says how to get it "
                "(another data folder: MFBENCH_DATA or --data-root)"
            )
        return path

    def hash(self, root: Path, name: str, *, fresh: bool = False) -> str:
        """Its SHA-256, which is `sha256` where that is known; UserError where it is another."""
        path = self.find(root, name)
        try:
            found = file_hash(path, gunzip=self.gunzip, fresh=fresh)
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror})") from None
        if self.sha256 and found != self.sha256:
            what = "the SHA-256 of its content" if self.gunzip else "its SHA-256"
            raise UserError(
                f"{path}: {what} is {found}, not {self.sha256}: damaged or not the official file; "
                f"remove it, then `mfbench data download {name}`"
            )
        return found

    def is_right(self, root: Path, name: str) -> bool:
        """Whether it is there, and the published one."""
        try:
            self.hash(root, name)
        except UserError:
            return False
        return True

    def fetch(self, root: Path, name: str) -> None:
        """Download it; UserError, in one line, says why that fails and what is wrong with what is there."""
        try:
            fetch(self.urls, root / self.path, self.sha256, gunzip=self.gunzip)
        except UserError as failure:
            if not (root / self.path).exists():
                raise
            wrong = next(problems([self], root, name), None)
            raise UserError(f"{wrong}; {failure}" if wrong else str(failure)) from None


def problems(sources: Sequence[SourceFile], root: Path, name: str) -> Iterator[str]:
    """What is wrong with these files, a line each; their bytes are read anew."""
    for source in sources:
        try:
            source.hash(root, name, fresh=True)
        except UserError as problem:
            yield str(problem)
