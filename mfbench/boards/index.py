"""`leaderboards/README.md`: all boards of a folder, from the `board.json` of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from mfbench.boards import formats, markdown
from mfbench.boards.bundle import read_json
from mfbench.boards.markdown import escape
from mfbench.boards.numbers import ABSENT, count
from mfbench.boards.summary import FIRST, few

SUMMARY = "board.json"

_INTRODUCTION = (
    "Made by `mfbench publish`; `mfbench publish --check` rebuilds every page from the records "
    "that lie beside it. First are the methods that no other is shown to be "
    "better than, at equal protocol parameters. What a number in a name stands for is said on its board."
)


def index_readme(out: Path) -> bytes:
    """The index of the boards in `out`, by suite."""
    boards = [read_json(path, formats.SUMMARY) for path in sorted(out.glob(f"*/{SUMMARY}"))]
    lines = [line for board in boards for line in _lines(board)]
    frame = pd.DataFrame(lines, columns=["suite", "table", "ranked by", FIRST, "cells", "date"])
    body = markdown.table(frame) if lines else "No board has been published yet."
    return f"# Leaderboards\n\n{_INTRODUCTION}\n\n{body}\n".encode()


def _lines(board: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    suite = f"[{escape(board['suite'])}]({board['folder']}/README.md)"
    cells = ", ".join(f"{count(n)} {escape(status)}" for status, n in board["cells"].items())
    tables = board["tables"] or [{"title": ABSENT, "metric": None, "first": []}]
    for place, table in enumerate(tables):
        head = (suite, cells, board["date"]) if place == 0 else ("", "", "")
        first = few(table.get("named", table["first"]))
        yield head[0], escape(table["title"]), escape(table["metric"] or ABSENT), first, head[1], head[2]
