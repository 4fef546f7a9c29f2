"""Data sets: list them, download one, check its files."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from mfbench.cli._options import add_data_root_option, add_plugin_option, open_registry
from mfbench.cli._tables import print_table

if TYPE_CHECKING:
    from mfbench.contracts.dataset import Dataset
    from mfbench.registry.schema import Signature


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    _add(actions, "list", _list, "the registered data sets: computed, in files, or in files that are absent")
    for name, run, summary in (
        ("download", _download, "fetch a data set's files into the data folder, checked by SHA-256"),
        ("check", _check, "say whether a data set's files are there and are the right ones"),
    ):
        action = _add(actions, name, run, summary)
        action.add_argument("name", metavar="NAME")


def _add(
    actions: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    function: Callable[[argparse.Namespace], int],
    summary: str,
) -> argparse.ArgumentParser:
    action = actions.add_parser(name, help=summary, description=summary)
    action.set_defaults(action=function)
    add_plugin_option(action)
    add_data_root_option(action)
    return action


def run(args: argparse.Namespace) -> int:
    code: int = args.action(args)
    return code


def _list(args: argparse.Namespace) -> int:
    from mfbench.registry.signatures import missing_files, read_signatures

    registry = open_registry(args.plugins)
    cards = registry.cards("dataset")
    failures: dict[tuple[str, str], str] = {}
    signatures = read_signatures(registry, [(card.kind, card.name) for card in cards], failures)
    in_files = [name for (_, name), signature in signatures.items() if signature.reads_files]
    missing = missing_files(registry, in_files)
    origins = {
        card.name: _origin(signatures.get((card.kind, card.name)), missing.get(card.name)) for card in cards
    }
    print_table((card.name, origins[card.name], card.plugin, card.summary) for card in cards)
    for (_, name), reason in failures.items():
        print(f"mfbench: warning: data set {name!r} cannot be used: {reason}", file=sys.stderr)
    return 0


def _origin(signature: Signature | None, missing: Sequence[str] | None) -> str:
    if signature is None:
        return "broken"
    if not signature.reads_files:
        return "computed"
    return "absent" if missing else "files"


def _download(args: argparse.Namespace) -> int:
    from mfbench.paths import data_root

    target = _target(args)
    if not _reads_files(target):
        print(f"{args.name} is computed: there is nothing to download")
        return 0
    target.download(data_root())
    return _check(args)


def _check(args: argparse.Namespace) -> int:
    """Exit code 1 where something is wrong with the files; what cannot be told is said of sound ones only."""
    from mfbench.paths import data_root

    target = _target(args)
    if not _reads_files(target):
        print(f"{args.name} is computed: there are no files to check")
        return 0
    problems = target.check(data_root())
    for problem in problems:
        print(f"{args.name}: {problem}")
    remarks = [] if problems else target.unverified(data_root())
    for remark in remarks:
        print(f"{args.name}: not verified: {remark}")
    if not problems:
        found = "can be read and look as they should" if remarks else "are right"
        print(f"{args.name}: the files in {data_root()} {found}")
    return int(bool(problems))


def _target(args: argparse.Namespace) -> type[Dataset]:
    registry = open_registry(args.plugins)
    return registry.load(registry.card("dataset", args.name))


def _reads_files(target: type[Dataset]) -> bool:
    from mfbench.contracts.dataset import Dataset

    return target.files is not Dataset.files
