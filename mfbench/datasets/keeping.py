"""The user's own archive outlives a download that unpacks it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from mfbench.datasets.sources import SourceFile


@contextmanager
def archive_kept(target: type, folder: Path) -> Iterator[None]:
    """What is done inside may remove the archive of a data set, if it has one: it is put back where it was.

    Not where it was damaged and another was fetched, nor where the file system knows no hard links.
    """
    archive = getattr(target, "archive", None)
    if not isinstance(archive, SourceFile) or not (folder / archive.path).is_file():
        yield
        return
    path = folder / archive.path
    aside = path.with_name(f".{path.name}.kept")
    try:
        aside.unlink(missing_ok=True)
        os.link(path, aside)
    except OSError:
        yield
        return
    try:
        yield
    finally:
        beside = replace(archive, path=str(aside.relative_to(folder)))
        if path.exists() or not beside.is_right(folder, target.__name__):
            aside.unlink()
        else:
            aside.replace(path)
