"""From a store to files: the same bytes every time, checked without the store, whatever the names."""

import json
import zipfile

import board_fakes as fakes
import numpy as np
import pandas as pd
import pytest

from mfbench.boards import bundle
from mfbench.boards.publish import check, publish
from mfbench.cli import main
from mfbench.errors import UserError
from mfbench.registry import Registry, load_registry
from mfbench.store import Store, encode_array


@pytest.fixture(scope="module")
def registry():
    return Registry()  # nothing is registered: reading signatures would take a child process


@pytest.fixture(scope="module")
def board(tmp_path_factory, registry):
    """A published board; tests that change it copy it first."""
    folder = tmp_path_factory.mktemp("board")
    with Store(fakes.quick(folder / "store.sqlite")) as store:
        publish(store, registry, folder / "out")
    return folder


@pytest.fixture
def copy(board, tmp_path):
    import shutil

    shutil.copytree(board / "out", tmp_path / "out")
    return tmp_path / "out"


def contents(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_the_same_store_gives_the_same_bytes(board, tmp_path, registry):
    with Store(board / "store.sqlite") as store:
        publish(store, registry, tmp_path)
    assert contents(tmp_path) == contents(board / "out")


def test_everything_lies_beside_the_board(board):
    files = set(contents(board / "out"))
    names = ("README.md", "board.json", *(getattr(bundle, n) for n in ("RECORDS", "COMPARISONS", "FIGURES")))
    assert files >= {"README.md", *(f"quick/{name}" for name in (*names, "suite.toml", "provenance.json"))}
    for table in ("ood_auroc-swiss_roll", "step_consistency-swiss_roll"):
        assert files >= {f"quick/tables/{table}.csv", f"quick/tables/{table}.json"}
        assert f"quick/figures/{table}-bars.png" in files


def test_a_page_shows_every_figure_and_every_link_leads_somewhere(board):
    import re

    page = (board / "out/quick/README.md").read_text()
    links = re.findall(r"\]\(([^#)]+)\)", page)
    assert sum(link.endswith(".png") for link in links) == len(list((board / "out/quick/figures").iterdir()))
    assert all((board / "out/quick" / link).is_file() for link in links)
    anchors = re.findall(r"\]\(#([^)]+)\)", page)
    headings = re.findall(r"^## (.+)$", page, re.MULTILINE)
    assert len(anchors) == 2
    assert {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings} >= set(anchors)


def test_the_page_says_how_it_was_run_and_how_to_do_it_again(board):
    page = (board / "out/quick/README.md").read_text()
    for said in (
        "mfbench run benchmarks/quick.toml",
        "mfbench verify leaderboards/quick",
        "commit 8782cf8e1f2a",
        "Intel Xeon Platinum 8488C",
        "torch 2.15.0",
        "72 cells (64 ok, 3 failed, 2 timeout, 3 unsupported) over seeds 0–2",
        "`timeout 2/3`",
    ):
        assert said in page


def test_tables_read_back_as_pandas(board):
    frame = pd.read_csv(board / "out/quick/tables/ood_auroc-swiss_roll.csv")
    kde = frame.set_index("method").loc["kde"]
    assert (kde["rank_low"], kde["rank_high"], kde["standing"]) == (1, 2, "ranked")
    assert kde["auroc"] == pytest.approx(0.858)
    assert kde["auroc:ci_low"] < kde["auroc"] < kde["auroc:ci_high"]
    assert kde["auroc[moons]"] == pytest.approx(0.808)
    assert len(frame) == 9
    table = json.loads((board / "out/quick/tables/ood_auroc-swiss_roll.json").read_text())
    assert [row["rank"] for row in table["rows"]][2:4] == [[1, 2], [1, 2]]
    assert table["rows"][0]["values"][0]["rule"] == "within 3 seeds"


def test_check_needs_no_store_and_finds_nothing(copy):
    assert check(copy) == []
    assert main(["publish", "--check", "--out", str(copy)]) == 0


@pytest.mark.parametrize(
    "name", ["quick/README.md", "quick/tables/ood_auroc-swiss_roll.csv", "quick/board.json", "README.md"]
)
def test_check_finds_a_changed_file(copy, name, capsys):
    path = copy / name
    path.write_text(path.read_text().replace("kde", "my_method"))
    assert main(["publish", "--check", "--out", str(copy)]) == 1
    said = capsys.readouterr().out
    assert "is not what its records give" in said
    assert "my_method" in said


def test_check_finds_a_changed_record(copy):
    path = copy / "quick/records.jsonl"
    path.write_text(path.read_text().replace('"value":0.858}', '"value":0.958}'))
    assert any("README.md" in message for message in check(copy))


def test_check_finds_files_that_no_record_gives_and_files_that_are_gone(copy):
    (copy / "quick/tables/other.csv").write_text("a\n")
    (copy / "quick/tables/ood_auroc-swiss_roll.json").unlink()
    messages = "\n".join(check(copy))
    assert "other.csv: no record gives this file" in messages
    assert "ood_auroc-swiss_roll.json: cannot be read" in messages


@pytest.mark.parametrize("content", [b"", b"not an image", b"\x89PNG\r\n\x1a\n"])
def test_check_finds_figures_that_are_no_images(copy, content):
    path = copy / "quick/figures/ood_auroc-swiss_roll-bars.png"
    path.write_bytes(content)
    assert check(copy) == [f"{path}: is not a PNG image"]


def test_check_finds_figures_that_are_gone_and_that_nobody_listed(copy):
    path = copy / "quick/figures/ood_auroc-swiss_roll-bars.png"
    path.rename(path.with_name("other.png"))
    messages = "\n".join(check(copy))
    assert "bars.png: cannot be read" in messages
    assert "other.png: no record gives this file" in messages


def test_first_is_said_to_be_at_equal_parameters(board):
    for page in ("README.md", "quick/README.md"):
        assert "| first (at equal parameters)" in (board / "out" / page).read_text()


def test_what_an_earlier_board_left_is_removed(copy, board, registry):
    (copy / "quick/tables/other.csv").write_text("a\n")
    (copy / "quick/notes.txt").write_text("mine")
    with Store(board / "store.sqlite") as store:
        publish(store, registry, copy)
    assert not (copy / "quick/tables/other.csv").exists()
    assert (copy / "quick/notes.txt").exists()


def test_check_of_nothing_is_bad_input(tmp_path, capsys):
    assert main(["publish", "--check", "--out", str(tmp_path)]) == 2
    assert "there is no board in this folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("records.jsonl", b'{"a": 1}\n[]\n', "line 2: a JSON object is expected"),
        ("records.jsonl", b'\n{"a": 1}\n', "line 2: 'protocol' is missing"),
        ("records.jsonl", b"{\n", "line 1: not JSON"),
        ("records.jsonl", b"\xff", "not UTF-8"),
        ("provenance.json", b'{"format": 99}', "format 99 is not 1"),
        ("figures.npz", b"nonsense", "not an archive of plain arrays"),
    ],
)
def test_a_damaged_bundle_is_told_in_one_line(copy, name, content, said, capsys):
    (copy / "quick" / name).write_bytes(content)
    assert main(["publish", "--check", "--out", str(copy)]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_a_pickle_is_not_opened(copy):
    with zipfile.ZipFile(copy / "quick/figures.npz", "w") as archive, archive.open("a.npy", "w") as file:
        np.lib.format.write_array(file, np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(UserError, match="not an archive of plain arrays"):
        bundle.read(copy / "quick")


def test_arrays_come_back_and_carry_no_date():
    arrays = {"cell/b": np.arange(6.0).reshape(2, 3), "cell/a": np.float32(3)}
    packed = bundle.pack_arrays(arrays)
    assert packed == bundle.pack_arrays(dict(reversed(arrays.items())))
    import io

    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert archive.namelist() == ["cell/a.npy", "cell/b.npy"]
        assert {member.date_time for member in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_the_index_names_every_board(copy, registry, tmp_path):
    records = [r for r in fakes.ood_records()[0] if r["label"] == "kde"]
    with Store(fakes.fill(tmp_path / "two.sqlite", records, suite="se cond")) as store:
        [folder] = publish(store, registry, copy)
    assert folder.name == "se-cond"
    index = (copy / "README.md").read_text()
    assert "[quick](quick/README.md)" in index
    assert "[se cond](se-cond/README.md)" in index
    assert "kde, gmm" in index
    assert check(copy) == []


def test_a_suite_without_any_result_has_a_board(tmp_path, registry):
    waiting = [fakes.cell(fakes.ood(), fakes.choice("likelihood", "later"), 0)]
    with Store(fakes.fill(tmp_path / "s.sqlite", [], unanswered=waiting)) as store:
        publish(store, registry, tmp_path / "out")
    assert "`not run 1/1`" in (tmp_path / "out/quick/README.md").read_text()
    assert check(tmp_path / "out") == []


def test_a_protocol_that_is_gone_costs_its_figures_and_nothing_else(tmp_path, registry, capsys):
    gone = fakes.choice("protocol", "gone", depth=1)
    asked = fakes.cell(gone, fakes.choice("likelihood", "kde"), 0)
    with Store(
        fakes.fill(tmp_path / "s.sqlite", [fakes.result(asked, [("m", "", 0.5, 1, 0.4, 0.6)])])
    ) as store:
        publish(store, registry, tmp_path / "out")
    assert "warning: gone on swiss_roll" in capsys.readouterr().err
    assert "0.50 ± 0.10" in (tmp_path / "out/quick/README.md").read_text()


PROTOCOL = """
from matplotlib.figure import Figure
import mfbench

class Drawn(mfbench.EvaluationProtocol):
    kind = "likelihood"
    metrics = (mfbench.Metric("m", primary=True),)

    def draw(self, records, arrays):
        figure = Figure()
        figure.suptitle(f"{records[0].label} {records[0].values[0].value} {arrays[0]['x'].sum()}")
        return {self.name_of(records): figure}

    def name_of(self, records):
        return records[0].parameters["figure"]

@mfbench.hookimpl
def mfbench_register(registry):
    registry.protocol("drawn", Drawn, summary="draws")
"""


@pytest.mark.parametrize(("name", "drawn"), [("curve", True), ("../curve", False), ("bars", False)])
def test_a_protocol_draws_from_records_and_arrays(tmp_path, write, capsys, name, drawn):
    registry = load_registry([str(write("drawn_plugin.py", PROTOCOL))])
    asked = fakes.cell(fakes.choice("protocol", "drawn"), fakes.choice("likelihood", "kde", figure=name), 0)
    arrays = {"x": encode_array(np.ones(3))}
    record = fakes.result(asked, [("m", "", 0.5, 1, 0.4, 0.6)], arrays=arrays)
    with Store(fakes.fill(tmp_path / "s.sqlite", [record])) as store:
        publish(store, registry, tmp_path / "out")
    figures = {path.name for path in (tmp_path / "out").rglob("*.png")}
    assert figures == ({"drawn-swiss_roll-curve.png"} if drawn else set())
    assert (
        f"(figures/drawn-swiss_roll-{name}.png)" in (tmp_path / "out/quick/README.md").read_text()
    ) == drawn
    assert ("a figure cannot be called" in capsys.readouterr().err) != drawn
    assert check(tmp_path / "out") == []


FINDER = """
import mfbench

class Finder(mfbench.EvaluationProtocol):
    kind = "likelihood"
    metrics = (mfbench.Metric("m", primary=True),)

    def findings(self, records):
        return {said}

@mfbench.hookimpl
def mfbench_register(registry):
    registry.protocol("finder", Finder, summary="finds")
"""


def found_by(said, tmp_path, write):
    """A board of one table whose protocol returns the expression `said` as its findings."""
    registry = load_registry([str(write("finder_plugin.py", FINDER.replace("{said}", said)))])
    records = [
        fakes.result(
            fakes.cell(fakes.choice("protocol", "finder"), fakes.choice("likelihood", name), seed), values
        )
        for seed in (0, 1)
        for name, values in (
            ("kde", [("m", "", 0.5 + seed, 1, 0.4, 0.6)]),
            ("gmm", [("m", "", 0.25, 1, 0.2, 0.3)]),
        )
    ]
    lost = fakes.failed(
        fakes.cell(fakes.choice("protocol", "finder"), fakes.choice("likelihood", "lof"), 0),
        "failed",
        "E",
        "e",
    )
    with Store(fakes.fill(tmp_path / "s.sqlite", [*records, lost])) as store:
        publish(store, registry, tmp_path / "out")
    return (tmp_path / "out/quick/README.md").read_text()


def test_findings_stand_under_their_table_and_check_needs_no_plugin(tmp_path, write):
    each = "', '.join(f'{r.label} {r.seed} {r.values[0].value:g}' for r in records)"
    said = f"[f'{{len(records)}} records: ' + {each}]"
    page = found_by(said, tmp_path, write)
    told = "4 records: kde 0 0.5, gmm 0 0.25, kde 1 1.5, gmm 1 0.25"
    assert f"What it shows:\n\n- {told}\n\n" in page
    assert bundle.read(tmp_path / "out/quick").provenance["findings"] == {"finder-swiss_roll": [told]}
    (tmp_path / "finder_plugin.py").unlink()
    assert check(tmp_path / "out") == []


def test_a_changed_finding_is_noticed(tmp_path, write):
    page = found_by("['kde is first']", tmp_path, write)
    readme, provenance = (tmp_path / "out/quick" / name for name in ("README.md", "provenance.json"))
    readme.write_text(page.replace("kde is first", "mine is first"))
    assert [message for message in check(tmp_path / "out") if "mine is first" in message]
    readme.write_text(page)
    provenance.write_text(provenance.read_text().replace("kde is first", "mine is first"))
    assert [message for message in check(tmp_path / "out") if "README.md" in message]


@pytest.mark.parametrize(
    ("finding", "shown"),
    [
        (
            "<b>a</b> | [x](http://y) *c* `d`",
            r"- &lt;b&gt;a&lt;/b&gt; \| \[x\](http:&#47;&#47;y) \*c\* \`d\`",
        ),
        ("# a\n\n## b", r"- \# a ## b"),
        ("- a", r"- \- a"),
        ("1. a", r"- 1\. a"),
        ("0.5 is much", r"- 0\.5 is much"),
        ("half \ud800 a pair", "- half a pair"),
    ],
)
def test_a_finding_is_shown_as_it_is(tmp_path, write, finding, shown):
    assert f"\n{shown}\n" in found_by(repr([finding]), tmp_path, write)
    assert check(tmp_path / "out") == []


@pytest.mark.parametrize(
    ("said", "warned"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("'a text'", "findings must return a list of texts, not 'a text'"),
        ("[1]", "findings must return a list of texts, not [1]"),
        ("None", "findings must return a list of texts, not None"),
    ],
)
def test_a_protocol_that_finds_badly_costs_its_findings_and_nothing_else(
    tmp_path, write, capsys, said, warned
):
    page = found_by(said, tmp_path, write)
    assert warned in capsys.readouterr().err
    assert "What it shows" not in page
    assert "| kde" in page
    assert check(tmp_path / "out") == []


def test_a_board_of_before_there_were_findings_still_checks(copy):
    path = copy / "quick/provenance.json"
    old = json.loads(path.read_text())
    del old["findings"]
    path.write_bytes(bundle.to_json(old))
    assert check(copy) == []


def test_publish_on_the_command_line(board, tmp_path, capsys, monkeypatch):
    out = tmp_path / "out"
    monkeypatch.setattr("mfbench.cli.publish.open_registry", lambda plugins: Registry())
    assert main(["publish", "--store", str(board / "store.sqlite"), "--out", str(out)]) == 0
    assert capsys.readouterr().out.strip() == str(out / "quick/README.md")
    assert main(["publish", "--store", str(tmp_path / "none.sqlite"), "--out", str(out)]) == 2
    assert not (tmp_path / "none.sqlite").exists()
