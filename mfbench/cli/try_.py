"""Compute one cell now and show the result; nothing is stored but the fitted models in the cache."""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfbench.cli import INTERRUPTED
from mfbench.cli._cells import print_cell
from mfbench.cli._options import add_data_root_option, add_plugin_option, open_registry
from mfbench.cli.run import SETTINGS_HELP, add_set_option
from mfbench.errors import UserError

if TYPE_CHECKING:
    from mfbench.registry import Registry
    from mfbench.registry.schema import Parameter
    from mfbench.suite import Suite


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = (
        "D and M are names, or tables with parameters: --method '{name = \"kde\", bandwidth = 0.05}'.\n"
        f"The cell is a suite of one run (run.0).\n\n{SETTINGS_HELP}"
    )
    parser.add_argument("protocol", metavar="PROTOCOL", help="the protocol that measures")
    parser.add_argument("--data", metavar="D", required=True, help="the data set")
    parser.add_argument("--method", metavar="M", required=True, help="the method")
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    add_set_option(parser)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (default: auto)")
    parser.add_argument(
        "--executor", default="local", help="local (a supervised child) or inline (this process: to debug)"
    )
    add_plugin_option(parser)
    add_data_root_option(parser)


def run(args: argparse.Namespace) -> int:
    from mfbench.engine import make_listener, run_plan
    from mfbench.engine.devices import choose_device, device_type
    from mfbench.plan.planning import make_plan
    from mfbench.store import Store

    suite = _suite(args)
    device = choose_device(args.device, args.executor)
    registry = open_registry([*suite.plugins, *args.plugins])
    _require_parameters(suite, registry)
    plan = make_plan(suite, registry, device=device_type(device))
    with (
        tempfile.TemporaryDirectory(prefix="mfbench-try-") as folder,
        Store(Path(folder) / "try.sqlite") as store,
    ):
        summary = run_plan(plan, store, executor=args.executor, device=device, listener=make_listener())
        if summary.interrupted:
            return INTERRUPTED
        print_cell(store.record(plan.cells[0].cell_id))
    return int(not summary.all_good)


def _suite(args: argparse.Namespace) -> Suite:
    """The suite of one cell that the command line describes."""
    from mfbench.suite import build_suite
    from mfbench.wording import Where

    run = {
        "protocol": args.protocol,
        "data": _entry("--data", args.data),
        "methods": [_entry("--method", args.method)],
    }
    raw: dict[str, Any] = {"suite": {"name": "try", "seeds": [args.seed]}, "run": [run]}
    return build_suite(raw, Path(), Where("mfbench try"), "", args.settings)


def _require_parameters(suite: Suite, registry: Registry) -> None:
    """UserError that says how to give a parameter which the protocol needs and nobody has set."""
    from mfbench.registry.signatures import read_signatures

    (run,) = suite.runs
    key = "protocol", run.protocol.name
    if key[1] not in registry.names("protocol"):
        return  # planning says so
    signature = read_signatures(registry, [key], {}).get(key)
    for parameter in signature.parameters if signature else ():
        given = {*run.protocol.parameters, *run.grid, *suite.bare}
        if parameter.required and parameter.name not in given:
            raise UserError(
                f"{key[1]} needs a value for {parameter.name!r} ({parameter.describe()}): give it with "
                f"--set 'run.0.{parameter.name}={_example(parameter, registry, run.data.name)}'"
            )


def _example(parameter: Parameter, registry: Registry, data: str) -> str:
    """A value in TOML of the parameter's type; for a reference, a registered name that is not the data's."""
    if parameter.type == "ref":
        names = [name for name in registry.names(parameter.kind) if name != data] or ["NAME"]
        value: Any = "circles" if "circles" in names else names[0]  # points: nothing to download
    elif parameter.type == "literal":
        value = parameter.choices[0]
    else:
        value = {"int": 1, "float": 1.0, "bool": True}.get(parameter.type, "...")
    return json.dumps([value] if parameter.many else value, ensure_ascii=False)


def _entry(option: str, text: str) -> Any:
    """A name as it is, a table as TOML reads it."""
    from mfbench.suite.toml import parse_toml
    from mfbench.wording import Where

    return parse_toml(f"entry = {text}\n", Where(option))["entry"] if text.lstrip().startswith("{") else text
