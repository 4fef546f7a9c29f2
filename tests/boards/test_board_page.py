"""The page of a board, read without a browser: what is in it, that nothing in a record is taken for HTML, and
that it asks nothing of the network."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from html.parser import HTMLParser
from importlib import resources

import board_fakes as fakes
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mfbench.boards import numbers
from mfbench.boards.publish import check, publish
from mfbench.boards.web.aligning import align
from mfbench.boards.web.whiskers import WIDTH, forest
from mfbench.cli import main
from mfbench.contracts import Metric
from mfbench.registry import Registry
from mfbench.store import Store

HOSTILE = "</script><script>alert(1)</script>\"'><img src=x onerror=alert(1)> {{ 7 * 7 }} <!--"
VOID = {"meta", "link", "input", "img", "br", "wbr"}


class Reader(HTMLParser):
    """Elements with their attributes; texts of scripts and of style; whether every element is closed."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.inside, self.text = [], [], {"script": [], "style": []}, []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag in self.inside:
            self.inside[tag].append("")

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in self.inside:
            self.inside[self.open[-1]][-1] += data
        else:
            self.text.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    """A board with its page, in which every name that a plugin can choose is hostile."""
    folder = tmp_path_factory.mktemp("page")
    records, timings = fakes.ood_records()
    steps = fakes.step_records()
    bad = fakes.choice("likelihood", HOSTILE, **{HOSTILE: HOSTILE})
    for seed in (0, 1, 2):
        asked = fakes.cell(fakes.ood(), bad, seed, label=HOSTILE)
        values = [("auroc", "", 0.5, 8000, 0.4, 0.6), ("auroc", HOSTILE, 0.5, 8000, None, None)]
        more = {"plugin": HOSTILE, "plugin_version": HOSTILE, "notes": [HOSTILE]}
        records.append(
            fakes.result(asked, values, **more)
            if seed
            else {**fakes.failed(asked, "failed", HOSTILE, HOSTILE), **more}
        )
    store = fakes.fill(folder / "store.sqlite", [*records, *steps[0]], [*timings, *steps[1]])
    with Store(store) as opened:
        publish(opened, Registry(), folder / "out", html=True)
    return folder


@pytest.fixture(scope="module")
def text(board):
    return (board / "out/quick/index.html").read_text()


@pytest.fixture(scope="module")
def page(text):
    return Reader(text)


def test_the_page_is_well_formed_and_ids_are_unique(page):
    assert page.open == []
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_no_name_becomes_an_element(page):
    assert len(page.all("script")) == 2 + 2  # the library and our own; the data of two tables
    assert all("onerror" not in attributes for _, attributes in page.elements)
    assert [img for img in page.all("img") if not img["src"].startswith("figures/")] == []
    assert "7 * 7" in "".join(page.text)
    assert "".join(page.text).count("alert(1)") >= 6


def test_data_for_the_script_is_json_that_cannot_end_its_element(page):
    data = [json.loads(script) for script in page.inside["script"] if script.startswith('{"columns"')]
    assert len(data) == 2
    labels = {row["label"] for table in data for row in table["rows"].values()}
    assert HOSTILE in labels
    kde = next(row for row in data[0]["rows"].values() if row["label"] == "kde")
    assert kde["rank"] == "1–2"
    assert [seed[:2] for seed in kde["seeds"]] == [[0, "ok"], [1, "ok"], [2, "ok"]]
    primary = kde["values"][0]
    assert (primary[0], data[0]["rules"][primary[4]]) == ("auroc", "within 3 seeds")
    assert primary[1] == pytest.approx(0.858)


def test_a_browser_may_run_what_is_in_the_page_and_load_nothing(page):
    policy = next(m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    scripts = [script for script in page.inside["script"] if not script.startswith('{"columns"')]
    for name, texts in (("script-src", scripts), ("style-src", page.inside["style"])):
        hashes = [base64.b64encode(hashlib.sha256(each.encode()).digest()).decode() for each in texts]
        assert rules[name].split() == [f"'sha256-{digest}'" for digest in hashes]


def test_no_address_leads_into_the_network(page):
    addresses = [a[name] for _, a in page.elements for name in ("src", "href") if name in a]
    assert [each for each in addresses if re.match(r"(?!data:)[a-z]+:|//", each)] == []
    assert not [a for tag, a in page.elements if "style" in a]
    assert not re.search(r"url\(|@import", page.inside["style"][0])


def test_every_link_leads_somewhere(page, board):
    folder = board / "out/quick"
    ids = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
    for link in page.all("a"):
        path, _, anchor = link["href"].partition("#")
        assert (folder / path).exists()
        assert path or anchor in ids


def test_every_row_and_every_cell_has_an_anchor(page, board):
    records = [json.loads(line) for line in (board / "out/quick/records.jsonl").read_text().splitlines()]
    rows = {record["row"] for record in records}
    ids = [attributes["id"] for tag, attributes in page.elements if tag == "tr" and "id" in attributes]
    assert {each.rpartition(".")[2] for each in ids} == rows
    cells = [attributes for tag, attributes in page.elements if tag == "td" and "data-order" in attributes]
    assert len(cells) > 10 * len(rows)
    assert all(cell["id"].count(".") >= 2 for cell in cells)


def test_the_page_says_what_the_markdown_says(page, board):
    readme = (board / "out/quick/README.md").read_text()
    shown = " ".join("".join(page.text).split())
    for number in re.findall(r"\d\.\d+ ± \d\.\d+", readme):
        assert number in shown
    for said in (
        "75 cells (66 ok",
        "mfbench run benchmarks/quick.toml",
        "Intel Xeon Platinum 8488C",
        "timeout 2/3",
    ):
        assert said in shown


def test_check_covers_the_page_and_the_index(board, tmp_path):
    import shutil

    shutil.copytree(board / "out", tmp_path / "out")
    assert check(tmp_path / "out") == []
    for name in ("quick/index.html", "index.html"):
        path = tmp_path / "out" / name
        before = path.read_text()
        path.write_text(before.replace("kde", "mine"))
        assert [message.partition(":")[0] for message in check(tmp_path / "out")] == [str(path)]
        path.write_text(before)


def test_a_page_that_is_there_is_kept_up_to_date(board, tmp_path):
    with Store(board / "store.sqlite") as store:
        publish(store, Registry(), tmp_path)
        assert not (tmp_path / "quick/index.html").exists()
        publish(store, Registry(), tmp_path, html=True)
        page = tmp_path / "quick/index.html"
        first = page.read_bytes()
        page.write_text("old")
        publish(store, Registry(), tmp_path)
    assert page.read_bytes() == first == (board / "out/quick/index.html").read_bytes()


def test_html_on_the_command_line(board, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("mfbench.cli.publish.open_registry", lambda plugins: Registry())
    given = ["publish", "--html", "--store", str(board / "store.sqlite"), "--out", str(tmp_path)]
    assert main(given) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "quick/index.html")
    assert (tmp_path / "index.html").exists()


def test_the_library_is_the_one_that_is_recorded():
    folder = resources.files("mfbench.boards.web") / "static"
    recorded = (folder / "VENDORED.md").read_text()
    assert hashlib.sha256((folder / "datatables.min.js").read_bytes()).hexdigest() in recorded
    assert "MIT License" in (folder / "datatables.LICENSE.txt").read_text()


NUMBERS = st.floats(-1e5, 1e5, allow_nan=False)


@given(st.lists(st.tuples(NUMBERS, st.floats(0, 100)), min_size=2, max_size=6))
def test_points_stand_under_points(values):
    texts = [numbers.with_interval(value, value - width, value + width) for value, width in values]
    plain = [each for each in zip(texts, align(texts)) if re.fullmatch(r"−?[\d,.]+( ± [\d,.]+)?", each[0])]
    assert all(each.head + each.tail == text for text, each in plain)
    after = [_after_the_point(each.head, each.head_fill) for _, each in plain]
    assert len(set(after)) <= 1


def _after_the_point(shown, fill):
    """Digits and points from the decimal point on: how far the number's units are from the right."""
    return len((shown + fill).partition(".")[2])


def test_what_is_no_plain_number_is_left_as_it_is():
    texts = ["(2.1 ± 0.1)e−5", "0.049 (0.036 to 0.070)", "–", "inf", "2.5 ± 0.5"]
    assert [each.head + each.tail for each in align(texts)] == texts
    assert {each.head_fill + each.tail_fill for each in align(texts)[:4]} == {""}


def made(values, standings=None, highest=None):
    """A table of rows in one block."""
    from types import SimpleNamespace

    index = [f"row{place}" for place in range(len(values))]
    rows = pd.DataFrame({"block": "b", "standing": standings or "ranked"}, index)
    names = ["row", "metric", "part", "value", "ci_low", "ci_high"]
    lines = [(row, "m", "", *each) for row, each in zip(index, values)]
    return SimpleNamespace(
        rows=rows,
        values=pd.DataFrame(lines, columns=names),
        primary=Metric("m", primary=True, highest=highest),
    )


def test_whiskers_stand_where_the_numbers_are():
    drawn = forest(made([(1.0, 0.5, 1.5), (2.0, 1.5, 2.5)]))
    assert not drawn.logarithmic
    # The ends are 0.5 and 2.5 with 8 % of their distance on each side: 0.34 to 2.66.
    places = [WIDTH * (value - 0.34) / 2.32 for value in (0.5, 1.0, 1.5)]
    whisker = drawn.whiskers["row0"]
    assert (whisker.low, whisker.value, whisker.high) == pytest.approx(places, abs=0.05)
    assert (whisker.beyond, whisker.best) == (0, None)


def test_powers_are_drawn_on_a_logarithmic_axis():
    drawn = forest(made([(1e-4, 1e-4, 1e-4), (1e-2, 1e-2, 1e-2), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)]))
    assert drawn.logarithmic
    places = [drawn.whiskers[f"row{row}"].value for row in range(3)]
    assert places[1] - places[0] == pytest.approx(places[2] - places[1], abs=0.15)
    assert drawn.whiskers["row3"].value is None
    assert drawn.whiskers["row3"].beyond == -1
    assert all(math.isfinite(end) for end in drawn.whiskers["row3"][:3:2])


def test_shares_are_on_a_linear_axis_however_small_one_is():
    drawn = forest(made([(1e-4, 0.0, 3e-4), (0.5, 0.4, 0.6), (0.0, 0.0, 0.01)], highest=1))
    assert not drawn.logarithmic
    assert drawn.whiskers["row2"].value is not None


def test_a_control_far_away_is_marked_at_the_end_and_a_ceiling_is_a_line():
    values = [(0.9, 0.89, 0.91), (0.8, 0.79, 0.81), (0.1, 0.09, 0.11)]
    drawn = forest(made(values, ["ceiling", "ranked", "control"]))
    assert [drawn.whiskers[f"row{row}"].beyond for row in range(3)] == [0, 0, -1]
    assert {whisker.best for whisker in drawn.whiskers.values()} == {drawn.whiskers["row0"].value}


def test_nothing_is_drawn_where_nothing_is_finite():
    assert forest(made([(math.nan, math.nan, math.nan)])) is None
