"""Figures of a board: a bar chart of every table, and what its protocol draws from records and arrays."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mfbench.boards.bars import draw_bars
from mfbench.boards.bundle import Bundle
from mfbench.boards.tables import Table
from mfbench.boards.told import as_record, ended_well
from mfbench.errors import UserError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mfbench.registry import Registry

BARS = "bars"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


def draw_all(bundle: Bundle, tables: Sequence[Table], registry: Registry) -> dict[str, dict[str, bytes]]:
    """slug -> name -> PNG. A protocol that cannot draw costs its figures and a warning, not the board."""
    arrays = bundle.arrays_by_cell()
    records = ended_well(bundle, tables)
    return {table.slug: dict(_draw(table, records[table.slug], arrays, registry)) for table in tables}


def _draw(
    table: Table,
    records: Sequence[Mapping[str, Any]],
    arrays: Mapping[str, Mapping[str, np.ndarray]],
    registry: Registry,
) -> Iterator[tuple[str, bytes]]:
    bars = draw_bars(table)
    if bars is not None:
        yield BARS, bars_to_png(bars)
    if not records:
        return
    kept = [arrays.get(record["cell_id"], {}) for record in records]
    try:
        protocol = registry.create("protocol", table.protocol)
        figures = protocol.draw([as_record(record) for record in records], kept)
        drawn = {_checked(name): to_png(figure) for name, figure in sorted(figures.items())}
    except UserError as error:
        _warn(table, str(error))
    except Exception as error:  # a plugin's drawing must not cost the board
        _warn(table, f"{type(error).__name__}: {error}")
    else:
        yield from drawn.items()


def to_png(figure: Figure) -> bytes:
    """PNG without dates or versions in it."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150, metadata={"Software": None})
    return buffer.getvalue()


def bars_to_png(figure: Figure) -> bytes:
    """The same, drawn once: `savefig` draws twice, for layout engines, which bar charts do without."""
    canvas: Any = figure.canvas
    buffer = io.BytesIO()
    figure.set_dpi(120)
    canvas.print_png(buffer, metadata={"Software": None})
    return buffer.getvalue()


def _checked(name: str) -> str:
    """A figure's name, which becomes part of a file's: letters, digits, "_", "-" and "."."""
    if not _NAME.fullmatch(name) or name == BARS:
        raise ValueError(f"a figure cannot be called {name!r}")
    return name


def _warn(table: Table, reason: str) -> None:
    print(f"mfbench: warning: {table.title}: the protocol's figures are missing ({reason})", file=sys.stderr)
