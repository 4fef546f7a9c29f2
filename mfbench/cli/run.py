"""Run a suite: methods x data x protocols x seeds; what is in the store already is not computed again."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mfbench.cli import INTERRUPTED
from mfbench.cli._options import add_data_root_option, add_plugin_option, open_registry, store_file

if TYPE_CHECKING:
    from mfbench.plan import Plan
    from mfbench.registry import Registry

STORE = "results.sqlite"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = SETTINGS_HELP
    parser.add_argument("suite", metavar="SUITE", help="a suite's TOML file")
    parser.add_argument(
        "--select",
        metavar="TEXT",
        type=_text,
        help="only cells whose 'protocol data method(label)' contains TEXT or matches it as a glob; they are "
        "added to what the suite's board shows, which a run of the whole suite replaces",
    )
    parser.add_argument("--methods", metavar="A,B", type=_names, default=(), help="only these methods")
    add_set_option(parser)
    parser.add_argument("--retry", action="store_true", help="compute failed cells again")
    parser.add_argument("--retime", action="store_true", help="take all times again (the machine was busy)")
    parser.add_argument(
        "--store", metavar="FILE", type=store_file, default=Path(STORE), help=f"default: {STORE}"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="print what would be computed, and write nothing"
    )
    add_execution_options(parser)
    add_plugin_option(parser)
    add_data_root_option(parser)


SETTINGS_HELP = """\
--set KEY=VALUE changes the suite for this run. VALUE is TOML (texts need quotes); KEY is one of
  suite.KEY         a key of [suite]:                       --set suite.seeds=[0]
  run.N.KEY[.KEY]   a key of the N-th [[run]], from 0:      --set run.0.methods.1.bandwidth=0.1
  executor.NAME.KEY a setting of an executor:               --set 'executor.dask.address="tcp://head:8786"'
  NAME              a parameter of every protocol, data set, method and reference that has it, whatever
                    the suite says:                         --set iterations=100
"""


def add_set_option(parser: argparse.ArgumentParser) -> None:
    """`--set KEY=VALUE`, repeatable."""
    parser.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        dest="settings",
        help="change the suite for this run (repeatable; see below)",
    )


def add_execution_options(parser: argparse.ArgumentParser) -> None:
    """`--workers`, `--device` and `--executor`."""
    parser.add_argument(
        "--workers", metavar="N", type=_count, default=1, help="cells computed at once (default: 1)"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (default: auto)")
    parser.add_argument(
        "--executor",
        metavar="NAME",
        default="local",
        help="local (supervised child processes), inline (this process, no limits), dask (workers anywhere, "
        "see docs/scaling.md) or module:factory",
    )


def run(args: argparse.Namespace) -> int:
    from mfbench.engine.devices import choose_device

    device = choose_device(args.device, args.executor)
    plan, registry = _plan(args, device)
    if args.dry_run:
        return _dry_run(args, plan, device)
    from mfbench.engine import Order, make_listener, open_workforce, run_plan
    from mfbench.store import Store

    order = Order(plan, args.workers, device)
    with open_workforce(args.executor, order) as workforce, Store(args.store) as store:
        summary = run_plan(
            plan,
            store,
            executor=workforce,
            workers=args.workers,
            device=device,
            retry=args.retry,
            retime=args.retime,
            listener=make_listener(),
            hook=registry.hook,
            argv=sys.argv,
            folder=Path(args.suite).absolute().parent,
        )
    return INTERRUPTED if summary.interrupted else int(not summary.all_good)


def _plan(args: argparse.Namespace, device: str) -> tuple[Plan, Registry]:
    """The plan, or UserError: everything is checked before the store is touched."""
    from mfbench.engine.devices import device_type
    from mfbench.plan.planning import make_plan
    from mfbench.suite import read_suite

    suite = read_suite(args.suite, args.settings)
    registry = open_registry([*suite.plugins, *args.plugins])
    kind, select = device_type(device), args.select or ""
    plan = make_plan(suite, registry, device=kind, select=select, methods=args.methods)
    for warning in plan.warnings:
        print(f"mfbench: warning: {warning}; its cells will fail", file=sys.stderr)
    return plan, registry


def _dry_run(args: argparse.Namespace, plan: Plan, device: str) -> int:
    from mfbench.cli._dry_run import check_executor, forecast, print_forecast
    from mfbench.engine.machine import machine_name
    from mfbench.paths import cache_root
    from mfbench.store import Store

    check_executor(args.executor)
    machine = machine_name(device) if plan.timing_budget else None
    path = args.store if args.store.exists() else ":memory:"  # an empty store that is nowhere
    with Store(path) as store:
        found = forecast(plan, store, cache_root(), retry=args.retry, retime=args.retime, machine=machine)
    print_forecast(plan, found, args.workers, args.retry)
    return 0


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    if not all(names):
        raise argparse.ArgumentTypeError(f"{text!r} has an empty name; give names with a comma between two")
    return names


def _text(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("the text is empty; leave --select out to run every cell")
    return text


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 4096:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of workers from 1 on")
    return int(text)
