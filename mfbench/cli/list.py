"""What is registered: name, plugin and summary, by kind."""

from __future__ import annotations

import argparse

from mfbench.cli._options import add_plugin_option, open_registry
from mfbench.cli._tables import heading, print_table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("kind", nargs="?", metavar="KIND", help="only this kind: generator, sampler, ...")
    add_plugin_option(parser)


def run(args: argparse.Namespace) -> int:
    from mfbench.cards import KINDS

    registry = open_registry(args.plugins)
    kinds = [args.kind] if args.kind else [kind for kind in KINDS if registry.names(kind)]
    for position, kind in enumerate(kinds):
        cards = registry.cards(kind)
        print(("\n" if position else "") + heading(f"{kind} ({len(cards)})"))
        print_table([(card.name, card.plugin, card.summary) for card in cards])
    return 0
