"""A board in a few words, for the top of its page and for the index of all boards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from mfbench.boards import history
from mfbench.boards.bundle import Bundle
from mfbench.boards.markdown import escape
from mfbench.boards.numbers import ABSENT
from mfbench.boards.slugs import slug
from mfbench.boards.tables import Table

_MOST_NAMED = 3
FIRST = "first (at equal parameters)"
"""Heading of the column of `first`: methods are ranked at equal protocol parameters alone."""


def board_summary(bundle: Bundle, tables: Sequence[Table]) -> dict[str, Any]:
    """`board.json`: suite, date, cells by status, and who is first in every table."""
    return {
        "suite": bundle.suite,
        "folder": slug(bundle.suite),
        "suite_hash": bundle.provenance["suite_hash"],
        "date": history.date(bundle),
        "cells": dict(sorted(Counter(record["status"] for record in bundle.records).items())),
        "tables": [
            {
                "title": table.title,
                "slug": table.slug,
                "protocol": table.protocol,
                "version": table.version,
                "data": table.data,
                "metric": table.primary.name if table.primary else None,
                "first": first(table),
                "named": first_names(table),
                "methods": int((table.rows["role"] == "method").sum()),
            }
            for table in tables
        ],
    }


def first(table: Table) -> list[str]:
    """Methods whose rank interval begins at 1: in every block or, where none is, in most blocks first."""
    blocks = table.rows.loc[table.rows["standing"] == "ranked", "block"].nunique()
    best = table.rows[(table.rows["standing"] == "ranked") & (table.rows["rank_low"] == 1)]
    times = Counter(best["label"])
    everywhere = [label for label in dict.fromkeys(best["label"]) if times[label] == blocks]
    return everywhere or [label for label, _ in times.most_common()]


def first_names(table: Table) -> list[str]:
    """`first`, as a reader sees them."""
    names = dict(zip(table.rows["label"], table.rows["name"]))
    return [names[label] for label in first(table)]


def leaders(table: Table) -> str:
    """`first` as Markdown, the rest counted."""
    return few(first_names(table))


def few(names: Sequence[str]) -> str:
    """The first names as Markdown, the others counted."""
    more = len(names) - _MOST_NAMED
    return ", ".join(map(escape, names[:_MOST_NAMED])) + (f" and {more} more" if more > 0 else "") or ABSENT
