"""Plain tables for the terminal: columns of text, wide ones cut at the terminal's edge."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Sequence


def print_table(rows: Iterable[Sequence[str]], indent: str = "  ") -> None:
    """Print rows in columns as wide as their widest cell; lines are cut where a terminal would wrap them."""
    table = [list(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*table)]
    for row in table:
        cells = [cell.ljust(width) for cell, width in zip(row, widths)]
        print(_cut(f"{indent}{'  '.join(cells)}".rstrip()))


def heading(text: str) -> str:
    """Bold on a terminal that wants it, plain elsewhere."""
    return f"\033[1m{text}\033[0m" if sys.stdout.isatty() and "NO_COLOR" not in os.environ else text


def _cut(line: str) -> str:
    if not sys.stdout.isatty():
        return line
    width = shutil.get_terminal_size().columns
    return line if len(line) <= width else f"{line[: width - 1]}…"
