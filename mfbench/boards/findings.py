"""What protocols say of their tables: the sentences under them."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mfbench.boards.bundle import Bundle
from mfbench.boards.markdown import one_line
from mfbench.boards.tables import Table
from mfbench.boards.told import as_record, ended_well
from mfbench.errors import UserError

if TYPE_CHECKING:
    from mfbench.registry import Registry


def find_all(bundle: Bundle, tables: Sequence[Table], registry: Registry) -> dict[str, list[str]]:
    """slug -> sentences, of tables that have some; each on one line, fit for a file of UTF-8 text.

    A protocol that cannot find anything out costs its findings and a warning, not the board.
    """
    records = ended_well(bundle, tables)
    found = {table.slug: _find(table, records[table.slug], registry) for table in tables}
    return {slug: sentences for slug, sentences in found.items() if sentences}


def _find(table: Table, records: Sequence[Mapping[str, Any]], registry: Registry) -> list[str]:
    if not records or table.protocol not in registry.names("protocol"):  # `draw_all` warns of it
        return []
    try:
        protocol = registry.create("protocol", table.protocol)
        return _checked(protocol.findings([as_record(record) for record in records]))
    except UserError as error:
        _warn(table, str(error))
    except Exception as error:  # a plugin's sentences must not cost the board
        _warn(table, f"{type(error).__name__}: {error}")
    return []


def _checked(said: Any) -> list[str]:
    """A list of texts; a text alone would be printed letter by letter."""
    if not isinstance(said, (list, tuple)) or not all(isinstance(sentence, str) for sentence in said):
        raise TypeError(f"findings must return a list of texts, not {one_line(repr(said), 60)}")
    return [line for line in map(one_line, said) if line]


def _warn(table: Table, reason: str) -> None:
    reason = one_line(reason)
    print(f"mfbench: warning: {table.title}: the protocol's findings are missing ({reason})", file=sys.stderr)
