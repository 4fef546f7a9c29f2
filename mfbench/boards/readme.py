"""The board as a person reads it: README.md of a suite's folder."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence

import pandas as pd

from mfbench.boards import history, markdown, numbers
from mfbench.boards.bundle import Bundle
from mfbench.boards.columns import Texts, value_texts
from mfbench.boards.display import detail_tables, main_table
from mfbench.boards.markdown import escape
from mfbench.boards.notes import legend, notes
from mfbench.boards.summary import FIRST, leaders
from mfbench.boards.tables import Table

LEGEND = (
    "**Rows.** A *ceiling* is the best possible score, a *reference* a yardstick that a method may exceed, a "
    "*control* a trivial baseline that no method should be mistaken for; none of them is ranked. A method "
    "without a rank (–) has no value to be ranked by, or seeds that did not end well: what it has is shown, "
    "and why stands under the table. Bold: no method is shown to be better.",
    "**Numbers** are means over the seeds with a 95 % interval: `mean ± half-width`, or `mean (low to high)` "
    "where the sides differ; a number without one has none. From five seeds on it is Student's t over the "
    "seeds; below, it is made of the intervals within the seeds where the metric has them, and where not it "
    "is the range over the seeds, from the smallest value to the largest, which is no 95 % interval. "
    "A p-value over several seeds is twice their mean (at most 1), which is a p-value however they depend. "
    "↑ higher is better, ↓ lower is better.",
    "**Costs.** NFE: network evaluations a sample. Memory: what the timed call holds at most: on a CPU by "
    "how much the process grows during it, on CUDA what the allocator gives out. Fit and measured: mean "
    "seconds of training a seed, and of all that the protocol did with it afterwards (attacks included), by "
    "the clock, on a machine that may have had other work.",
)


def board_readme(bundle: Bundle, tables: Sequence[Table]) -> bytes:
    """The whole board; a pure function of what lies beside it."""
    parts = [f"# Leaderboard: {escape(bundle.suite)}", escape(description(bundle)), headline(bundle)]
    if tables:
        parts += [_contents(tables), *(_section(table, bundle) for table in tables)]
        parts += ["## How to read the tables", *LEGEND]
    parts += ["## How it was run", *history.how_it_was_run(bundle)]
    return ("\n\n".join(filter(None, parts)) + "\n").encode()


def description(bundle: Bundle) -> str:
    """What the suite says of itself; "" where it says nothing."""
    try:
        head = tomllib.loads(bundle.suite_text).get("suite")
    except (tomllib.TOMLDecodeError, RecursionError):
        head = None
    said = head.get("description") if isinstance(head, dict) else None
    return said if isinstance(said, str) else ""


def headline(bundle: Bundle) -> str:
    """How many cells ended how, over which seeds, and when the last of them did."""
    counts = Counter(record["status"] for record in bundle.records)
    cells = ", ".join(f"{numbers.count(n)} {escape(status)}" for status, n in _worst_last(counts))
    seeds = numbers.spans([record["seed"] for record in bundle.records])
    return f"{numbers.count(len(bundle.records))} cells ({cells}) over seeds {seeds}; {history.date(bundle)}."


def _worst_last(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (item[0] != "ok", item[0]))


def _contents(tables: Sequence[Table]) -> str:
    lines = [
        {
            "table": f"[{escape(table.title)}](#{markdown.anchor(_heading(table))})",
            FIRST: leaders(table),
            "methods": str((table.rows["role"] == "method").sum()),
            "ranked": str((table.rows["standing"] == "ranked").sum()),
            "incomplete": str((table.rows["failures"] != "").sum()),
        }
        for table in tables
    ]
    contents = markdown.table(pd.DataFrame(lines), right=["methods", "ranked", "incomplete"])
    return f"{contents}\n\n{names_told(tables)}".rstrip()


def names_told(tables: Sequence[Table]) -> str:
    """What the numbers in all names of a board stand for; "" where there are none."""
    names = {short: full for table in tables for short, full in table.legend.items()}
    return f"In names, {legend(names)}." if names else ""


def _heading(table: Table) -> str:
    version = f", version {table.version}" if table.version != 1 else ""
    return f"{table.title}{version}"


def _section(table: Table, bundle: Bundle) -> str:
    registered = bundle.provenance["registered"]
    summary = registered.get(f"protocol/{table.protocol}", {}).get("summary", "")
    parts = [f"## {escape(_heading(table))}"]
    parts += [_sentence(summary)] if summary else []
    parts += [f"Protocol parameters: {_constants(table)}."] if table.constants else []
    texts = value_texts(table.values)
    frame, right = main_table(table, texts, registered)
    parts.append(markdown.table(frame, right))
    parts.append("\n".join(f"- {note}" for note in notes(table)))
    parts += _findings(table, bundle)
    parts += _figures(table, bundle)
    parts += _details(table, texts)
    parts.append(f"As files: [CSV](tables/{table.slug}.csv), [JSON](tables/{table.slug}.json).")
    return "\n\n".join(part for part in parts if part)


def _sentence(text: str) -> str:
    return escape(text[:1].upper() + text[1:].rstrip(".")) + "."


def _constants(table: Table) -> str:
    return ", ".join(f"{escape(name)} = {escape(text)}" for name, text in table.constants.items())


def _findings(table: Table, bundle: Bundle) -> list[str]:
    """What the protocol said of the table when the board was published."""
    said: Sequence[str] = bundle.provenance.get("findings", {}).get(table.slug, ())
    return ["What it shows:", "\n".join(markdown.bullet(sentence) for sentence in said)] if said else []


def _figures(table: Table, bundle: Bundle) -> list[str]:
    names: Sequence[str] = bundle.provenance.get("figures", {}).get(table.slug, ())
    return [f"![{escape(table.title)}: {escape(name)}](figures/{table.slug}-{name}.png)" for name in names]


def _details(table: Table, texts: Texts) -> list[str]:
    """The other metrics: open where they fit into one table, folded where they do not."""
    shown = [markdown.table(frame, right) for frame, right in detail_tables(table, texts)]
    if len(shown) > 1:
        return [markdown.details(f"The other metrics ({len(shown)} tables)", "\n\n".join(shown))]
    return ["The other metrics:", *shown] if shown else []
