"""All about one registered name (`show KIND NAME`) or one computed cell (`show CELL`)."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mfbench.cli._cells import as_toml, print_cell
from mfbench.cli._options import add_plugin_option, open_registry
from mfbench.cli._tables import heading, print_table
from mfbench.errors import UserError

if TYPE_CHECKING:
    from mfbench.cards import Card
    from mfbench.registry.schema import Parameter, Signature


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "what", nargs="+", metavar="KIND NAME | CELL", help="the first characters of a cell's id"
    )
    parser.add_argument(
        "--store", default="results.sqlite", metavar="FILE", help="where the cell is (%(default)s)"
    )
    add_plugin_option(parser)


def run(args: argparse.Namespace) -> int:
    from mfbench.cards import KINDS

    if len(args.what) == 1 and args.what[0] in KINDS:
        (kind,) = args.what
        names = ", ".join(open_registry(args.plugins).names(kind)) or "none"
        raise UserError(f"show {kind}: a NAME is missing after the kind; there are: {names}")
    if len(args.what) == 1:
        _show_cell(args.what[0], args.store)
    elif len(args.what) == 2:
        kind, name = args.what
        _show_card(kind, name, args.plugins)
    else:
        raise UserError(f"show {' '.join(args.what)}: expected KIND NAME, or the id of a CELL")
    return 0


def _show_card(kind: str, name: str, plugins: list[str]) -> None:
    from mfbench.registry.signatures import read_signatures

    registry = open_registry(plugins)
    card = registry.card(kind, name)
    signature = read_signatures(registry, [(kind, name)])[kind, name]
    print(heading(f"{kind} {name}"))
    print_table((label, text) for label, text in _facts(card, signature) if text)
    print()
    if not signature.parameters:
        print("no parameters")
        return
    print(heading("parameters" if kind != "protocol" else "parameters of the evaluation"))
    print_table(_parameter_row(parameter) for parameter in signature.parameters)


def _facts(card: Card, signature: Signature) -> Iterator[tuple[str, str]]:
    yield "summary", card.summary
    yield "does", signature.doc
    yield "reference", card.reference
    yield "plugin", f"{card.plugin} {card.plugin_version}".strip()
    yield "target", card.target
    if card.kind == "protocol":
        yield "measures", f"a {signature.measures}"
        yield "times", signature.workload
    elif card.kind != "dataset":
        yield "role", signature.role
    if card.kind in ("protocol", "dataset"):
        yield "version", str(signature.version)
    for fact, value in signature.facts.items():
        yield fact, as_toml(value)
    for metric in signature.metrics:
        better = f"{metric.better} is better" if metric.better else "describes"
        primary = ", ranks" if metric.primary else ""
        yield (
            "metric",
            f"{metric.name} [{metric.unit or '1'}] {better}{primary}. {metric.description}".strip(),
        )
    yield "source", signature.source_hash[:12]


def _parameter_row(parameter: Parameter) -> tuple[str, str, str]:
    default = "required" if parameter.required else as_toml(parameter.default)
    return parameter.name, default, parameter.describe()


def _show_cell(prefix: str, store: str) -> None:
    from mfbench.store import Store

    with Store(store, create=False) as opened:
        print_cell(opened.record(prefix))
