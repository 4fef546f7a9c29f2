"""What lies beside a board: all that its tables and figures are made from, in files that a person can read.

    records.jsonl       one line a cell: what was asked, how it ended, values, costs, and by which run
    comparisons.jsonl   one line a pair of methods: difference, 95 % interval, p
    figures.npz         arrays for figures, "<cell_id>/<name>"
    suite.toml          the suite as it was run
    provenance.json     runs (commit, versions, machine), metrics of the protocols, what names stand for

JSON is strict (non-finite floats are strings) with sorted keys, and the archive has no clock in it, so that
the same store gives the same bytes. Nothing here is ever unpickled.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mfbench.errors import UserError
from mfbench.identity import canonical

FORMAT = 1
"""Raised when the meaning of these files changes."""

RECORDS, COMPARISONS, FIGURES, SUITE, PROVENANCE = (
    "records.jsonl",
    "comparisons.jsonl",
    "figures.npz",
    "suite.toml",
    "provenance.json",
)

_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest date a zip archive can carry: stamped on every member."""


@dataclass(frozen=True)
class Bundle:
    """The contents of those files; records and comparisons are JSON objects as written."""

    records: list[dict[str, Any]]
    comparisons: list[dict[str, Any]]
    provenance: dict[str, Any]
    suite_text: str = ""
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def suite(self) -> str:
        return str(self.provenance["suite"])

    def arrays_by_cell(self) -> dict[str, dict[str, np.ndarray]]:
        """The arrays of each cell that has some, by their own names."""
        cells: dict[str, dict[str, np.ndarray]] = {}
        for name, array in self.arrays.items():
            cell_id, _, short = name.partition("/")
            cells.setdefault(cell_id, {})[short] = array
        return cells


def read(folder: Path) -> Bundle:
    """The bundle in `folder`; UserError where a file is missing or is not what it should be."""
    provenance = read_json(folder / PROVENANCE)
    if provenance.get("format") != FORMAT:
        raise UserError(
            f"{folder / PROVENANCE}: format {provenance.get('format')!r} is not {FORMAT}, which this mfbench "
            "writes: publish the board again, or use the version that wrote it"
        )
    return Bundle(
        records=read_lines(folder / RECORDS),
        comparisons=read_lines(folder / COMPARISONS),
        provenance=provenance,
        suite_text=_text(folder / SUITE),
        arrays=read_arrays(folder / FIGURES),
    )


def files_of(bundle: Bundle) -> dict[str, bytes]:
    """File names and contents of a bundle."""
    return {
        RECORDS: to_lines(bundle.records),
        COMPARISONS: to_lines(bundle.comparisons),
        FIGURES: pack_arrays(bundle.arrays),
        SUITE: bundle.suite_text.encode(),
        PROVENANCE: to_json(bundle.provenance),
    }


def to_json(value: Any) -> bytes:
    """Indented strict JSON, sorted, with a final line break."""
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return f"{text}\n".encode()


def to_lines(items: Iterable[Mapping[str, Any]]) -> bytes:
    """Canonical JSON, one object a line."""
    return b"".join([f"{canonical(item)}\n".encode() for item in items])


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file."""
    try:
        value = json.loads(_text(path))
    except ValueError as error:
        raise UserError(f"{path}: not JSON ({error})") from None
    if not isinstance(value, dict):
        raise UserError(f"{path}: a JSON object is expected, not {type(value).__name__}")
    return value


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The JSON objects of a file, one a line."""
    items = []
    for number, line in enumerate(_text(path).split("\n"), 1):
        if not line:
            continue
        try:
            item = json.loads(line)
        except ValueError as error:
            raise UserError(f"{path}, line {number}: not JSON ({error})") from None
        if not isinstance(item, dict):
            raise UserError(f"{path}, line {number}: a JSON object is expected, not {type(item).__name__}")
        items.append(item)
    return items


def pack_arrays(arrays: Mapping[str, np.ndarray]) -> bytes:
    """A .npz archive, sorted by name, without dates or pickles."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(arrays):
            member = zipfile.ZipInfo(f"{name}.npy", date_time=_EPOCH)
            member.compress_type = zipfile.ZIP_DEFLATED
            member.create_system = 3  # Unix, wherever it is written
            content = io.BytesIO()
            np.lib.format.write_array(content, np.asarray(arrays[name], order="C"), allow_pickle=False)
            archive.writestr(member, content.getvalue())
    return buffer.getvalue()


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a .npz archive; pickles are refused."""
    try:
        with np.load(io.BytesIO(_bytes(path)), allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (ValueError, zipfile.BadZipFile, EOFError) as error:
        raise UserError(f"{path}: not an archive of plain arrays ({error})") from None


def _text(path: Path) -> str:
    try:
        return _bytes(path).decode()
    except UnicodeDecodeError:
        raise UserError(f"{path}: not UTF-8 text") from None


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror}); `mfbench publish` writes it beside the board"
        ) from None
