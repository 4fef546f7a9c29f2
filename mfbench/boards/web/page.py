"""A board as one HTML file. Everything from records passes through templates that escape it."""

from __future__ import annotations

import base64
import hashlib
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
from markdown_it import MarkdownIt
from markupsafe import Markup

from mfbench.boards import bundle as bundles
from mfbench.boards import formats, history
from mfbench.boards.bundle import Bundle, read_json
from mfbench.boards.notes import notes
from mfbench.boards.readme import LEGEND, description, headline, names_told
from mfbench.boards.summary import first_names
from mfbench.boards.tables import Table
from mfbench.boards.web.details import script_data
from mfbench.boards.web.grid import Grid, make_grid

PAGE = "index.html"
MOST_AT_ONCE = 200
"""Rows that a table shows together. Of a longer one the others travel as text, so that a browser need not lay
them out, and its pages are turned."""

_FILES = (
    (bundles.RECORDS, "every cell: what was asked, how it ended, values, costs"),
    (bundles.COMPARISONS, "every pair of methods: difference, interval, p"),
    (bundles.FIGURES, "the arrays behind the figures"),
    (bundles.PROVENANCE, "runs, machines, versions, metrics, what names stand for"),
    (bundles.SUITE, "the suite as it was run"),
)

_UNSEEN = ("Cc", "Cf", "Cs")


class Section(NamedTuple):
    """A table with all that stands around it."""

    table: Table
    grid: Grid
    data: str
    question: str
    findings: Sequence[str]
    notes: Sequence[Markup]
    figures: Sequence[str]
    first: Sequence[str]


def board_page(bundle: Bundle, tables: Sequence[Table]) -> bytes:
    """The page of a board; a pure function of what lies beside it, as README.md is."""
    made, checked = history.commands(bundle)
    return _render(
        "board.html",
        title=bundle.suite,
        lead=description(bundle),
        headline=_inline(headline(bundle)),
        sections=[_section(table, bundle) for table in tables],
        names=_inline(names_told(tables)),
        legend=[_inline(paragraph) for paragraph in LEGEND],
        facts=[(name, text) for name, text in history.facts(bundle) if text],
        made=made,
        checked=checked,
        runs=[_inline(history.run_line(*run)) for run in history.runs_in_order(bundle).items()],
        suite=bundle.suite_text,
        files=_FILES,
    )


def index_page(out: Path) -> bytes:
    """The page of all boards under `out`, from the `board.json` of each."""
    paths = sorted(out.glob("*/board.json"))
    boards = [(_link(path.parent), read_json(path, formats.SUMMARY)) for path in paths]
    return _render("index.html", title="Leaderboards", boards=boards)


def _link(folder: Path) -> str:
    """A board's page; its Markdown, where it was published without one."""
    return f"{folder.name}/{PAGE if (folder / PAGE).exists() else 'README.md'}"


def _section(table: Table, bundle: Bundle) -> Section:
    registered = bundle.provenance["registered"]
    summary = registered.get(f"protocol/{table.protocol}", {}).get("summary", "")
    grid = make_grid(table, registered)
    return Section(
        table=table,
        grid=grid,
        data=script_data(table, grid, bundle),
        question=f"{summary[:1].upper()}{summary[1:].rstrip('.')}." if summary else "",
        findings=bundle.provenance.get("findings", {}).get(table.slug, ()),
        notes=[_inline(note) for note in notes(table)],
        figures=bundle.provenance.get("figures", {}).get(table.slug, ()),
        first=first_names(table),
    )


def _inline(text: str) -> Markup:
    """A line of the board's own Markdown, in which names are escaped already; HTML in it stays text."""
    return Markup(_reader().renderInline(text))


@cache
def _reader() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False}).disable(["link", "image", "autolink"])


def _render(template: str, **about: Any) -> bytes:
    scripts = [_static("datatables.min.js"), _static("board.js")]
    style = _static("board.css")
    text = (
        _templates()
        .get_template(template)
        .render(
            **about,
            policy=_policy(scripts, style),
            style=Markup(style),
            scripts=[Markup(script) for script in scripts],
            licence=Markup(_static("datatables.LICENSE.txt").replace("--", "- -")),
            most_at_once=MOST_AT_ONCE,
        )
    )
    return f"{text.rstrip()}\n".encode()


@cache
def _templates() -> jinja2.Environment:
    found = jinja2.Environment(
        loader=jinja2.PackageLoader("mfbench.boards.web"),
        autoescape=True,
        finalize=_visible,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    found.filters["breakable"] = _breakable
    return found


def _visible(value: Any) -> Any:
    """Without what could turn the direction of a text, or hide in it: names are anybody's."""
    if not isinstance(value, str) or isinstance(value, Markup) or value.isprintable():
        return value
    return "".join(c for c in value if c in "\n\t" or unicodedata.category(c) not in _UNSEEN)


def _breakable(name: str) -> Markup:
    """A name that may go on in the next line where its words end."""
    return Markup("<wbr>").join(re.findall(r"[^_(,=]*[_(,=]*", name))


@cache
def _static(name: str) -> str:
    return resources.files("mfbench.boards.web").joinpath("static", name).read_text(encoding="utf-8").strip()


def _policy(scripts: Sequence[str], style: str) -> str:
    """What a browser may do with the page: run these scripts, use this style, show the images beside it."""
    allowed = {
        "default-src": ["'none'"],
        "script-src": list(map(_hash, scripts)),
        "style-src": [_hash(style)],
        "img-src": ["'self'", "file:", "data:"],
        "base-uri": ["'none'"],
        "form-action": ["'none'"],
    }
    return "; ".join(_directives(allowed))


def _directives(allowed: Mapping[str, Sequence[str]]) -> Iterator[str]:
    for name, sources in allowed.items():
        yield f"{name} {' '.join(sources)}"


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
