"""`mfbench publish`: writes the boards of a store, and checks that boards are what their records give."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

from mfbench.boards import bundle as bundles
from mfbench.boards.bundle import Bundle
from mfbench.boards.collect import collect
from mfbench.boards.consistency import contradictions
from mfbench.boards.exports import to_csv, to_json_table
from mfbench.boards.index import SUMMARY, index_readme
from mfbench.boards.readme import board_readme
from mfbench.boards.slugs import slug
from mfbench.boards.summary import board_summary
from mfbench.boards.tables import Table, build
from mfbench.boards.web.page import PAGE, board_page, index_page
from mfbench.errors import UserError
from mfbench.paths import write_atomically

if TYPE_CHECKING:
    from mfbench.registry import Registry
    from mfbench.store import Store

README = "README.md"
_DIFFERENCES, _LONGEST = 6, 200
_PNG = b"\x89PNG\r\n\x1a\n"


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the search for cycles: a board makes millions of small objects, and none of them is in one."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


@_uncollected()
def publish(
    store: Store, registry: Registry, out: Path, suites: Sequence[str] = (), *, html: bool = False
) -> list[Path]:
    """Write the board of every suite in the store (or of those named) under `out`, and the index of all.

    The same store gives the same bytes. Files of an earlier board that this one does not have are removed.
    html: with a page for a browser beside each README.md, and one for the index; one that is there already is
    written anew without being asked for, so that it never tells of an earlier board.
    """
    from mfbench.boards.figures import draw_all
    from mfbench.boards.findings import find_all

    folders = []
    for suite in suites or store.suite_names():
        folder = out / slug(suite)
        found = collect(store, suite, registry)
        tables = build(found)
        figures = draw_all(found, tables, registry)
        more = {
            "figures": {s: list(f) for s, f in figures.items()},
            "findings": find_all(found, tables, registry),
        }
        found = replace(found, provenance={**found.provenance, **more})
        images = {
            f"figures/{s}-{name}.png": png for s, drawn in figures.items() for name, png in drawn.items()
        }
        texts = render(found, tables, html=html or (folder / PAGE).exists())
        _write(folder, {**bundles.files_of(found), **images, **texts})
        folders.append(folder)
    for name, content in _index(out, html=html or (out / PAGE).exists()).items():
        write_atomically(out / name, content)
    return folders


def _index(out: Path, *, html: bool) -> dict[str, bytes]:
    """The files that list all boards."""
    files = {README: index_readme(out)}
    return {**files, PAGE: index_page(out)} if html else files


def render(bundle: Bundle, tables: Sequence[Table], *, html: bool = False) -> dict[str, bytes]:
    """The text files of a board, with its HTML page or without: a pure function of what lies beside it."""
    files = {README: board_readme(bundle, tables), SUMMARY: bundles.to_json(board_summary(bundle, tables))}
    for table in tables:
        files[f"tables/{table.slug}.csv"] = to_csv(table)
        files[f"tables/{table.slug}.json"] = to_json_table(table)
    return {**files, PAGE: board_page(bundle, tables)} if html else files


@_uncollected()
def check(out: Path, suites: Sequence[str] = ()) -> list[str]:
    """What is not as the records beside the boards give it, one message each; empty where all is well."""
    folders = [out / slug(suite) for suite in suites] or board_folders(out)
    if not folders:
        raise UserError(
            f"{out}: there is no board in this folder; `mfbench publish` writes them, --out says where"
        )
    messages = [message for folder in folders for message in check_board(folder)]
    for name, content in _index(out, html=(out / PAGE).exists()).items():
        messages += _compared(out / name, content)
    return messages


def check_board(folder: Path) -> Iterator[str]:
    """The same for one board.

    Texts (the HTML page among them, where there is one) are compared byte for byte, and comparisons with
    their records. The bytes of a figure depend on the version of matplotlib that drew it: of figures it is
    said only which are missing, or are no PNG.
    """
    found = bundles.read(folder)
    for problem in contradictions(found.records, found.comparisons):
        yield f"{folder / bundles.COMPARISONS}, {problem}"
    expected = render(found, build(found), html=(folder / PAGE).exists())
    for name, content in expected.items():
        yield from _compared(folder / name, content)
    figures = _listed_figures(found)
    for name in figures:
        yield from _no_png(folder / name)
    for path in _published(folder):
        name = path.relative_to(folder).as_posix()
        if name not in expected and name not in figures:
            yield f"{path}: no record gives this file"


def _listed_figures(found: Bundle) -> list[str]:
    """Files of the figures that the page shows."""
    listed: Mapping[str, Sequence[str]] = found.provenance.get("figures", {})
    return [f"figures/{table}-{name}.png" for table, names in listed.items() for name in names]


def _no_png(path: Path) -> Iterator[str]:
    try:
        content = path.read_bytes()
    except OSError as error:
        yield f"{path}: cannot be read ({error.strerror})"
        return
    if not content.startswith(_PNG) or len(content) == len(_PNG):
        yield f"{path}: is not a PNG image"


def board_folders(out: Path) -> list[Path]:
    """The folders under `out` that hold a board."""
    return sorted(path.parent for path in out.glob(f"*/{bundles.RECORDS}"))


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        write_atomically(folder / name, content)
    for path in _published(folder):
        if path.relative_to(folder).as_posix() not in files:
            path.unlink()


def _published(folder: Path) -> list[Path]:
    """The files of a board whose names depend on its tables."""
    patterns = ("tables/*.csv", "tables/*.json", "figures/*.png")
    return sorted(path for pattern in patterns for path in folder.glob(pattern))


def _compared(path: Path, expected: bytes) -> Iterator[str]:
    try:
        there = path.read_bytes()
    except OSError as error:
        yield f"{path}: cannot be read ({error.strerror})"
        return
    if there != expected:
        yield f"{path}: is not what its records give\n{_difference(there, expected)}"


def _difference(there: bytes, expected: bytes) -> str:
    """The first lines that differ, and how many more; not a longest common subsequence, so as to be quick."""
    before, after = (content.decode(errors="replace").split("\n") for content in (there, expected))
    pairs = [(a, b) for a, b in zip_longest(before, after) if a != b]
    shown = [
        f"{sign} {line if len(line) <= _LONGEST else line[: _LONGEST - 1] + '…'}"
        for pair in pairs[:_DIFFERENCES]
        for sign, line in zip("-+", pair)
        if line is not None
    ]
    more = len(pairs) - _DIFFERENCES
    return "\n".join([*shown, f"... and {more} lines more"] if more > 0 else shown)
