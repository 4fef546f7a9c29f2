"""Compute a random sample of a board's cells again: exit 1 where one does not reproduce."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from mfbench.cli._options import add_data_root_option, add_plugin_option
from mfbench.cli._tables import heading, print_table

if TYPE_CHECKING:
    from mfbench.boards.verify import Verdict

_EPILOG = """\
The suite that lies beside the board is planned with the code that is here, and the sampled cells are run in
a store of their own. Fitted models are taken from the cache where it has them, and fitted again where not
(always, with --refit). On the machine and with the versions of the board, values, their
numbers of examples and intervals, network evaluations and parameter counts must agree to 1e-6 (relative);
elsewhere to 2 %, or values lie inside the recorded 95 % interval and its ends within half a width of it.
--tolerance replaces both rules."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    parser.add_argument(
        "board", metavar="BOARD", type=Path, help="a board's folder, leaderboards/quick for example"
    )
    parser.add_argument("--sample", metavar="N", type=_count, default=5, help="how many cells (%(default)s)")
    parser.add_argument(
        "--seed", metavar="N", type=int, help="draws the sample (default: drawn afresh, and printed)"
    )
    parser.add_argument("--tolerance", metavar="X", type=float, help="relative difference allowed")
    parser.add_argument("--refit", action="store_true", help="fit every model again, with an empty cache")
    parser.add_argument(
        "--workers", metavar="N", type=_count, default=1, help="cells computed at once (%(default)s)"
    )
    parser.add_argument(
        "--folder",
        metavar="DIR",
        type=Path,
        help="where the suite's relative paths start (default: the board)",
    )
    add_plugin_option(parser)
    add_data_root_option(parser)


def run(args: argparse.Namespace) -> int:
    from mfbench.boards.verify import fresh_seed, verify
    from mfbench.engine import make_listener

    seed = fresh_seed() if args.seed is None else args.seed
    print(f"sample drawn by --seed {seed}")
    verdicts = verify(
        args.board,
        sample=args.sample,
        seed=seed,
        tolerance=args.tolerance,
        plugins=args.plugins,
        suite_folder=args.folder,
        refit=args.refit,
        workers=args.workers,
        listener=make_listener(),
    )
    names = ("cell", "protocol", "at", "data", "method", "seed", "values", "difference", "allowed", "verdict")
    print_table([names, *(_line(verdict) for verdict in verdicts)])
    broken = sum(bool(verdict.problem) for verdict in verdicts)
    print(heading(f"{len(verdicts) - broken} of {len(verdicts)} cells reproduce"))
    return int(broken > 0)


def _line(verdict: Verdict) -> tuple[str, ...]:
    from mfbench.identity import canonical

    record = verdict.record
    said = verdict.problem or ("reproduces" if verdict.worst else "reproduces exactly")
    return (
        record["cell_id"][:12],
        record["protocol"]["name"],
        ", ".join(f"{name}={canonical(value)}" for name, value in verdict.parameters.items()) or "–",
        record["data"]["name"],
        record["label"],
        str(record["seed"]),
        str(verdict.values),
        f"{verdict.worst:.1e}",
        f"{verdict.tolerance:.0e}",
        f"{said} ({verdict.remark})" if verdict.remark else said,
    )


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 on")
    return int(text)
