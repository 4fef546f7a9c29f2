"""Options that several verbs share, and the registry they ask for."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mfbench.registry import Registry


def add_plugin_option(parser: argparse.ArgumentParser) -> None:
    """`--plugin FILE_OR_MODULE`, repeatable."""
    parser.add_argument(
        "--plugin",
        metavar="FILE_OR_MODULE",
        action="append",
        default=[],
        dest="plugins",
        help="also use this plugin: a Python file or a module's name (repeatable)",
    )


def add_data_root_option(parser: argparse.ArgumentParser) -> None:
    """`--data-root DIR`: MFBENCH_DATA for this command."""
    parser.add_argument("--data-root", metavar="DIR", help="folder of downloaded data sets (or MFBENCH_DATA)")


def store_file(text: str) -> Path:
    """The type of a `--store` that is made where it is not there yet: in a folder that is."""
    path = Path(text)
    if not text:
        raise argparse.ArgumentTypeError("the name is empty; give a file, results.sqlite for example")
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r}: there is no folder {str(path.parent)!r} for the store")
    return path


def open_registry(plugins: Sequence[str]) -> Registry:
    """The registry with these plugins, which must work; an installed one that is broken gets a warning."""
    from mfbench.registry import load_registry

    registry = load_registry(plugins)
    registry.require_sources()
    for plugin in registry.broken:
        print(f"mfbench: warning: plugin {plugin.name} is broken: {plugin.error}", file=sys.stderr)
    return registry
