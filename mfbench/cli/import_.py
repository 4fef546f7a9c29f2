"""Take the records of another machine's board into this store: a run then goes on where that one left off."""

from __future__ import annotations

import argparse
from pathlib import Path

from mfbench.cli._options import store_file


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file", metavar="FILE", type=Path, help="records.jsonl of a board, or the board's folder"
    )
    parser.add_argument(
        "--store", metavar="FILE", type=store_file, default=Path("results.sqlite"), help="%(default)s"
    )
    parser.add_argument(
        "--keep",
        action="store_true",
        help="where both have a result and the numbers differ, keep ours (else: exit 2, nothing done)",
    )


def run(args: argparse.Namespace) -> int:
    from mfbench.boards.imports import import_board, read_board
    from mfbench.store import Store

    board = read_board(args.file)  # before the store is touched
    with Store(args.store) as store:
        done = import_board(store, board, args.keep)
    kept = f", {done.conflicts} kept as they were here" if done.conflicts else ""
    print(f"{done.suite}: {done.records} records, {done.new} of them new to {args.store}{kept}")
    return 0
