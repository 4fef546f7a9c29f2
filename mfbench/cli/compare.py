"""Compare two stores or boards, paired by seed: exit 1 where what both have is not the same."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfbench.cli._tables import heading, print_table

if TYPE_CHECKING:
    from mfbench.boards.compare import Comparison

_EPILOG = """\
A and B are stores, boards' folders or records.jsonl files. Cells are matched by what is asked: protocol,
data, method, their parameters, and seed (device, threads and precision only where one side has several).
Printed are the values that differ: means over seeds, B minus A, and its 95 % interval (Student's t).

exit codes: 0: every value that both have agrees within the tolerance, and every cell ended alike; 1: not so;
2: bad input, or nothing in common. Cells that only one side has are counted and do not matter."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    parser.add_argument("a", metavar="A", type=Path)
    parser.add_argument("b", metavar="B", type=Path)
    parser.add_argument(
        "--tolerance", metavar="X", type=float, default=1e-6, help="relative difference allowed (%(default)s)"
    )
    parser.add_argument("--all", action="store_true", help="print the values that agree as well")


def run(args: argparse.Namespace) -> int:
    from mfbench.boards.compare import compare

    found = compare(args.a, args.b, args.tolerance)
    shown = found.differences if args.all else found.differences[~found.differences["same"]]
    if len(shown):
        names = ("protocol", "data", "method", "value", "A", "B", "B - A", "seeds")
        print_table([names, *(_line(line) for line in shown.to_dict("records"))])
    for line in found.statuses:
        print(f"  {line}")
    print(heading(_verdict(found)))
    return 0 if found.holds else 1


def _line(line: dict[Any, Any]) -> tuple[str, ...]:
    from mfbench.boards import numbers

    low, high = (None if value != value else value for value in (line["ci_low"], line["ci_high"]))
    return (
        line["protocol"],
        line["data"],
        line["method"],
        " ".join(part for part in (line["metric"], line["part"]) if part),
        numbers.plain(line["a"], 6),
        numbers.plain(line["b"], 6),
        numbers.with_interval(line["difference"], low, high),
        str(line["seeds"]),
    )


def _verdict(found: Comparison) -> str:
    differ = int((~found.differences["same"]).sum())
    alike = "all the same" if found.holds else f"{differ} differ, {len(found.statuses)} cells ended otherwise"
    only = (
        f"; only in A: {found.only_a} cells, only in B: {found.only_b}"
        if found.only_a or found.only_b
        else ""
    )
    return f"{len(found.differences)} values compared: {alike}{only}"
