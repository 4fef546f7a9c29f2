"""Write the leaderboards of a store, or check that those there are what their records give."""

from __future__ import annotations

import argparse
from pathlib import Path

from mfbench.cli._options import add_plugin_option, open_registry


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--store", metavar="FILE", type=Path, default=Path("results.sqlite"), help="%(default)s"
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        type=Path,
        default=Path("leaderboards"),
        help="one folder a suite (%(default)s)",
    )
    parser.add_argument(
        "--suite", metavar="NAME", action="append", default=[], help="only this suite's board (repeatable)"
    )
    parser.add_argument(
        "--html",
        action="store_true",
        help="write a page for a browser, too: index.html beside each README.md, which sorts, filters and "
        "links to every row and cell, and needs no network",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="write nothing: rebuild Markdown, HTML (where it was published), CSV and JSON from the records "
        "beside each board (no store is needed); exit 1 where a file is not, byte for byte, what they give, "
        "a comparison is not of its records, or a figure is missing or no PNG (its bytes depend on the "
        "version of matplotlib)",
    )
    add_plugin_option(parser)


def run(args: argparse.Namespace) -> int:
    from mfbench.boards.publish import check, publish

    if args.check:
        messages = check(args.out, args.suite)
        for message in messages or [f"{args.out}: everything is what the records give"]:
            print(message)
        return int(bool(messages))
    from mfbench.store import Store

    with Store(args.store, create=False) as store:
        for folder in publish(store, open_registry(args.plugins), args.out, args.suite, html=args.html):
            print(folder / ("index.html" if args.html else "README.md"))
    return 0
