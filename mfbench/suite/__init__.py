"""Suites: TOML read and checked as far as that goes without knowing any method.

Read `reading.py` first; `fields.py` reads one value each, `overrides.py` is `--set`.
"""

from mfbench.suite.reading import (
    RUN_KEYS,
    Entry,
    RunEntry,
    Suite,
    build_suite,
    parse_suite,
    read_entry,
    read_suite,
)

__all__ = [
    "RUN_KEYS",
    "Entry",
    "RunEntry",
    "Suite",
    "build_suite",
    "parse_suite",
    "read_entry",
    "read_suite",
]
