"""Plugins: what each registers, a new one, and whether one keeps the contract."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from mfbench.cli._options import add_plugin_option, open_registry
from mfbench.cli._tables import heading, print_table
from mfbench.errors import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    listing = _add(actions, "list", _list, "every plugin and what it registers; exit code 1 if one is broken")
    add_plugin_option(listing)
    new = _add(actions, "new", _new, "write a working plugin, with a test and a pyproject.toml that installs")
    new.add_argument("name", metavar="NAME", help="what it will be called in suites")
    new.add_argument("--kind", required=True, metavar="KIND", help="generator, sampler, likelihood, ...")
    new.add_argument("--folder", metavar="DIR", type=Path, help="where to write it (default: ./NAME)")
    check = _add(actions, "check", _check, "run the conformance checks on what a plugin registers")
    check.add_argument("plugin", metavar="PLUGIN", help="a file, or the name of a module or installed plugin")


def _add(
    actions: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    function: Callable[[argparse.Namespace], int],
    summary: str,
) -> argparse.ArgumentParser:
    action = actions.add_parser(name, help=summary, description=summary)
    action.set_defaults(action=function)
    return action


def run(args: argparse.Namespace) -> int:
    code: int = args.action(args)
    return code


def _list(args: argparse.Namespace) -> int:
    from mfbench.registry import load_registry

    registry = load_registry(args.plugins)
    for plugin in registry.plugins:
        print(heading(" ".join(filter(None, (plugin.name, plugin.version, f"({plugin.source})")))))
        if plugin.error:
            print(f"  broken: {plugin.error}")
        print_table((card.kind, card.name, card.summary) for card in plugin.cards)
        for hook in plugin.hooks:
            print(f"  {hook}")
    return int(bool(registry.broken))


def _new(args: argparse.Namespace) -> int:
    from mfbench.cli._scaffold import scaffold

    folder = args.folder or Path(args.name)
    name = args.name.replace("-", "_")
    registry = open_registry(())
    if args.kind in _kinds() and name in registry.names(args.kind):
        holder = registry.card(args.kind, name).plugin
        raise UserError(f"plugin new {args.name}: plugin {holder} has a {args.kind} {name!r} already")
    for file in scaffold(args.name, args.kind, folder):
        print(file)
    print(f"\nnext: pip install -e '{folder}[test]' && pytest {folder} && mfbench show {args.kind} {name}")
    return 0


def _kinds() -> tuple[str, ...]:
    from mfbench.cards import KINDS

    return KINDS


def _check(args: argparse.Namespace) -> int:
    """A line a check; exit code 1 where one did not hold."""
    from mfbench.testing import check_plugin

    findings = check_plugin(args.plugin)
    for finding in findings:
        print(finding)
    failed = sum(not finding.ok for finding in findings)
    print(
        f"{args.plugin}: {failed} of {len(findings)} checks failed" if failed else f"{args.plugin}: all hold"
    )
    return int(failed > 0)
