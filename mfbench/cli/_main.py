"""The frame of the command line: finds the verb, parses its arguments, tells mistakes, sets the exit code."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType
from typing import NoReturn

from mfbench.errors import UserError
from mfbench.spelling import did_you_mean
from mfbench.version import __version__

BAD_INPUT = 2
INTERRUPTED = 130
BROKEN_PIPE = 141

_FOLDER = Path(__file__).parent


class Parser(argparse.ArgumentParser):
    """Tells a mistake in one line, as every other mistake is told."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; see {self.prog} --help")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a verb; its exit code.

    2 for bad input and for what the system does not let be read or written, told in one line; 130 when
    interrupted.
    """
    usual, warnings.formatwarning = warnings.formatwarning, _in_one_line
    try:
        code = _run(sys.argv[1:] if argv is None else list(argv))
        sys.stdout.flush()
        return code
    except UserError as error:
        print(f"mfbench: {error}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("mfbench: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # `mfbench list | head`: nobody reads on, and the last flush must not complain
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except OSError as error:  # a folder of another user, a name too long, a full disk
        if not isinstance(error.filename, str | bytes | os.PathLike):  # none, or a number
            raise
        print(f"mfbench: {os.fsdecode(error.filename)}: {error.strerror}", file=sys.stderr)
        return BAD_INPUT
    finally:
        warnings.formatwarning = usual


def _in_one_line(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    """A warning as every other message is told; of a library's, its sort and where it comes from as well."""
    file, said = Path(filename), " ".join(str(message).split())
    package = filename.rpartition("site-packages")[2]
    if category is RuntimeWarning and any(part.startswith("mfbench") for part in Path(package).parts):
        return f"mfbench: warning: {said}\n"
    return f"mfbench: warning: {category.__name__}: {said} ({file.name}, line {lineno})\n"


def _run(argv: list[str]) -> int:
    verbs = _verbs()
    asked = next((word for word in argv if not word.startswith("-")), None)
    if asked is not None and asked not in verbs:
        raise UserError(f"there is no verb {asked!r}{did_you_mean(asked, verbs)}")
    parser = _parser({asked: verbs[asked]} if asked else verbs)
    try:
        args = parser.parse_args(argv)
    except SystemExit as finished:  # --help and --version
        return int(finished.code or 0)
    if asked is None:
        parser.print_help()
        return 0
    if getattr(args, "data_root", None):
        os.environ["MFBENCH_DATA"] = str(Path(args.data_root).absolute())  # for child processes as well
    code: int = args.run(args)
    return code


def _verbs() -> dict[str, str]:
    """Every verb and the module that does it."""
    modules = [module.name for module in iter_modules([str(_FOLDER)]) if not module.name.startswith("_")]
    return {name.rstrip("_"): f"mfbench.cli.{name}" for name in modules}


def _parser(verbs: dict[str, str]) -> Parser:
    parser = Parser("mfbench", description="The bench on which methods for image manifolds are compared.")
    parser.add_argument("--version", action="version", version=f"mfbench {__version__}")
    commands = parser.add_subparsers(title="verbs", metavar="VERB")
    for verb, name in verbs.items():
        module = import_module(name)
        help_line = _first_line(module)
        command = commands.add_parser(verb, help=help_line, description=help_line)
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return parser


def _first_line(module: ModuleType) -> str:
    return (module.__doc__ or "").partition("\n")[0]
