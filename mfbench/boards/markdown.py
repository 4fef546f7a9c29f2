"""Markdown that a name or an error message cannot break: escaping, and tables by tabulate."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Sequence

import pandas as pd
import tabulate

# Padding must not depend on whether the optional package wcwidth is there: boards are checked to the byte.
tabulate.WIDE_CHARS_MODE = False

_ACTIVE = re.compile(r"([\\`*\[\]|~])")
_UNSEEN = ("Cc", "Cf", "Cs")
"""Control and format characters, and halves of surrogate pairs, which no file can hold."""
_BLOCK_START = re.compile(r"^(\d{0,9})([-+#.)=])")
"""What at the beginning of a line makes a list, a heading or a rule."""
_LOOSE_UNDERSCORE = re.compile(r"(?<![^\W_])_|_(?![^\W_])")


def escape(text: object, limit: int | None = None) -> str:
    """`text` as it is, on one line: nothing in it is taken for Markdown, HTML or the end of a table cell."""
    shown = html.escape(one_line(text, limit), quote=False)
    shown = _ACTIVE.sub(r"\\\1", shown)
    # Between letters an underscore is only a letter in GitHub's Markdown; elsewhere it may start emphasis.
    shown = _LOOSE_UNDERSCORE.sub(r"\\_", shown)
    return shown.replace("://", ":&#47;&#47;")


def code(text: object, limit: int | None = None) -> str:
    """`text` as a code span, fit for a table cell."""
    shown = one_line(text, limit).replace("`", "'").replace("|", "\\|")
    return f"`{shown}`" if shown else ""


def one_line(text: object, limit: int | None = None) -> str:
    """White space run together, control and direction-changing characters gone, cut after `limit`."""
    line = " ".join(str(text).split())
    if not line.isprintable():
        line = " ".join("".join(c for c in line if unicodedata.category(c) not in _UNSEEN).split())
    return line if limit is None or len(line) <= limit else line[: limit - 1].rstrip() + "…"


def bullet(text: object) -> str:
    """`text` as one item of a list, which begins no list or heading of its own."""
    return "- " + _BLOCK_START.sub(r"\1\\\2", escape(text))


def table(frame: pd.DataFrame, right: Sequence[str] = ()) -> str:
    """A table of text cells that are Markdown already; the columns named in `right` are aligned right."""
    align = ["right" if name in right else "left" for name in frame.columns]
    text: str = tabulate.tabulate(
        frame.to_numpy().tolist(),
        headers=list(frame.columns),
        tablefmt="pipe",
        colalign=align if len(frame) else None,
        disable_numparse=True,
        showindex=False,
    )
    return text


def anchor(heading: str) -> str:
    """The fragment by which GitHub links to a heading."""
    kept = re.sub(r"[^\w\- ]", "", heading.strip().lower())
    return kept.replace(" ", "-")


def details(summary: str, body: str) -> str:
    """A block that is folded until somebody opens it; `summary` is escaped, `body` is Markdown."""
    return f"<details>\n<summary>{escape(summary)}</summary>\n\n{body}\n\n</details>"


def fence(text: str, language: str = "") -> str:
    """A code block whose fence is longer than any run of backticks in the text."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    ticks = "`" * max(3, longest + 1)
    return f"{ticks}{language}\n{text.rstrip()}\n{ticks}"
