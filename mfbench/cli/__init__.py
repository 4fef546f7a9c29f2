"""The command line: `mfbench VERB ...`, one module a verb.

A verb is a module of this package with a docstring (its first line is the help line), `add_arguments(parser)`
and `run(args) -> int`. Modules whose names begin with an underscore are not verbs; `try_` is the verb `try`.
Only the module of the verb asked for is imported, and none imports torch or pandas before `run` needs them.
"""

from mfbench.cli._main import BAD_INPUT, INTERRUPTED, main

__all__ = ["BAD_INPUT", "INTERRUPTED", "main"]
