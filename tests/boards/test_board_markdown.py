"""Names and errors cannot break a page: what Markdown makes of the text is the text."""

import html
import re

import pandas as pd
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from mfbench.boards import markdown

READER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
NASTY = "a|b\n<script>x</script> *bold* _it_ `code` [link](http://x) ~~no~~ \\| <!-- &amp; \x1b[31m \u202e"


def cells(page):
    """The text of every cell of the page's only table, and whether nothing but text was in them."""
    inside = re.findall(r"<t[hd](?: [^>]*)?>(.*?)</t[hd]>", READER.render(page), re.DOTALL)
    return [html.unescape(cell) for cell in inside], all("<" not in cell for cell in inside)


@given(st.text(max_size=40))
@example(NASTY)
@example("__init__")
@example("swiss_roll(noise=0.5)")
def test_escaped_text_comes_out_of_markdown_as_it_went_in(text):
    page = markdown.table(pd.DataFrame({"name": [markdown.escape(text)], "next": ["x"]}))
    found, plain = cells(page)
    assert plain
    assert found == ["name", "next", markdown.one_line(text), "x"]


@given(st.text(alphabet="|`ab\n<", max_size=12))
@example("timeout 2/5 | `x`")
def test_a_code_span_holds_its_text(text):
    page = markdown.table(pd.DataFrame({"name": [markdown.code(text)], "next": ["x"]}))
    inside = re.findall(r"<td[^>]*>(.*?)</td>", READER.render(page), re.DOTALL)
    shown = html.unescape(re.sub(r"</?code>", "", inside[0]))
    assert shown == markdown.one_line(text).replace("`", "'")
    assert inside[1] == "x"


def test_names_that_need_no_escape_stay_readable():
    assert markdown.escape("swiss_roll(noise=0.5)") == "swiss_roll(noise=0.5)"


def test_long_messages_are_cut():
    assert markdown.one_line("word " * 100, 20) == "word word word word…"


def test_a_fence_is_longer_than_what_it_holds():
    text = 'description = "````"'
    assert READER.render(markdown.fence(text, "toml")).count("<code") == 1


def test_padding_does_not_depend_on_an_optional_package():
    page = markdown.table(pd.DataFrame({"name": ["漢字", "ab"]}))
    assert [len(line) for line in page.splitlines()] == [10, 10, 10, 10]
