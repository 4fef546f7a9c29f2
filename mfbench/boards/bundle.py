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
from typing import Any, NoReturn

import numpy as np

from mfbench.boards import formats
from mfbench.boards.markdown import one_line
from mfbench.boards.shapes import Shape
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

_BATCH = 200
"""Lines whose shape is checked together: few enough to lie in the processor's cache still."""

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
    """The bundle in `folder`; UserError where a file is missing or is not what it should be.

    Every line is checked against `formats`: whoever holds a bundle that was read can rely on its keys.
    """
    provenance = read_json(folder / PROVENANCE)
    if provenance.get("format") != FORMAT:
        raise UserError(
            f"{folder / PROVENANCE}: format {provenance.get('format')!r} is not {FORMAT}, which this mfbench "
            "writes: publish the board again, or use the version that wrote it"
        )
    _require(folder / PROVENANCE, formats.PROVENANCE, provenance)
    return Bundle(
        records=read_lines(folder / RECORDS, formats.RECORD),
        comparisons=read_lines(folder / COMPARISONS, formats.COMPARISON),
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


def read_json(path: Path, shape: Shape | None = None) -> dict[str, Any]:
    """A JSON object from a file; UserError where it is none, or not of the shape."""
    value = _parse(_text(path), str(path))
    if shape is not None:
        _require(path, shape, value)
    return value


def read_lines(path: Path, shape: Shape) -> list[dict[str, Any]]:
    """The JSON objects of a file, one a line; UserError, with the line's number, where one is of another
    shape."""
    lines = [(number, line) for number, line in enumerate(_text(path).split("\n"), 1) if line]
    items = []
    for start in range(0, len(lines), _BATCH):
        some = lines[start : start + _BATCH]
        parsed = [_parse(line, f"{path}, line {number}") for number, line in some]
        if not shape.holds(parsed):
            for (number, _), item in zip(some, parsed):
                _require(f"{path}, line {number}", shape, item)
        items += parsed
    return items


def _require(where: str | Path, shape: Shape, value: Any) -> None:
    problem = shape.problem(value, "")
    if problem:
        raise UserError(f"{where}: {problem}; this is not what `mfbench publish` wrote")


def _parse(text: str, where: str) -> dict[str, Any]:
    """A JSON object of which every text can be written again; UserError where the text is not one."""
    try:
        value = _decode(text)
        if "\\u" in text:  # half of a surrogate pair can be escaped, and never be written
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise UserError(f"{where}: not JSON ({error})") from None
    if not isinstance(value, dict):
        raise UserError(f"{where}: a JSON object is expected, not {type(value).__name__}")
    return value


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON: non-finite numbers are texts")


_decode = json.JSONDecoder(parse_constant=_refuse).decode


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
    """The arrays of a .npz archive: booleans, integers and real numbers; pickles are refused."""
    content = _bytes(path)
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except Exception as error:  # of damaged archives zipfile, zlib and NumPy raise a dozen kinds
        raise UserError(f"{path}: not an archive of plain arrays ({one_line(error, 200)})") from None
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray) or array.dtype.kind not in "biuf":
            raise UserError(f"{path}: {name!r} is not an array of booleans, integers or real numbers")
    return arrays


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
