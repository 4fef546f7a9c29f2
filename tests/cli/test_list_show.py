"""`list` and `show` print what the registry and the store hold."""

from __future__ import annotations

import io
import re

import pytest

import mfbench
from mfbench.cli import _tables, main
from mfbench.registry import load_registry

PLUGIN = """
    import mfbench

    class Halves(mfbench.Sampler):
        \"\"\"Halves.\"\"\"

        def __init__(self, *, factor: float = 0.5, start: mfbench.Ref | None = None, word: str): ...

    @mfbench.hookimpl
    def mfbench_register(registry):
        registry.sampler("halves", Halves, summary="halves its input", reference="nobody 2023")
"""


def test_list_shows_every_card_under_its_kind(capsys):
    assert main(["list"]) == 0
    blocks = capsys.readouterr().out.rstrip().split("\n\n")
    shown = {}
    for block in blocks:
        title, *rows = block.splitlines()
        kind, count = re.fullmatch(r"(\w+) \((\d+)\)", title).groups()
        assert int(count) == len(rows)
        shown[kind] = [row.split()[:2] for row in rows]
    cards = load_registry().cards()
    assert shown == {
        kind: [[card.name, card.plugin] for card in cards if card.kind == kind] for kind in shown
    }
    assert sum(map(len, shown.values())) == len(cards)


def test_list_of_one_kind_with_a_file_plugin(write, capsys):
    path = write("mine.py", PLUGIN.replace("start: mfbench.Ref | None = None, word: str", ""))
    assert main(["list", "sampler", "--plugin", str(path)]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^  halves +mine\.py +halves its input$", out, re.MULTILINE)
    assert "dataset" not in out


def test_list_of_a_kind_that_has_none(capsys, monkeypatch):
    monkeypatch.setattr("mfbench.registry.loading.from_entry_points", lambda: iter(()))
    assert main(["list", "attack"]) == 0
    assert capsys.readouterr().out == "attack (0)\n"


def test_a_broken_installed_plugin_is_a_warning_and_a_broken_asked_for_one_an_error(install, write, capsys):
    install("bad", {"bad_installed": "1 / 0"})
    assert main(["list"]) == 0
    printed = capsys.readouterr()
    assert "mfbench: warning: plugin bad_installed is broken: ZeroDivisionError" in printed.err
    assert "rk4" in printed.out
    assert main(["list", "--plugin", str(write("bad.py", "1 / 0"))]) == 2
    assert "bad.py: ZeroDivisionError: division by zero" in capsys.readouterr().err


def test_show_of_a_name_tells_parameters_reference_role_and_plugin(write, capsys):
    path = write("mine.py", PLUGIN.replace("start: mfbench", "sampler: mfbench"))
    assert main(["show", "sampler", "halves", "--plugin", str(path)]) == 0
    out = capsys.readouterr().out
    for line in (
        r"sampler halves",
        r"  summary +halves its input",
        r"  does +Halves\.",
        r"  reference +nobody 2023",
        r"  plugin +mine\.py sha256:\w{12}",
        r"  target +mfbench_file_mine_\w+:Halves",
        r"  role +method",
        r"  deterministic +true",
        r"  factor +0\.5 +a number",
        r"  sampler +none +the name of a sampler or nothing",
        r"  word +required +a text",
    ):
        assert re.search(f"^{line}$", out, re.MULTILINE), line


def test_show_of_a_protocol_tells_its_metrics(capsys):
    assert main(["show", "protocol", "ood_auroc"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^  measures +a likelihood$", out, re.MULTILINE)
    assert re.search(r"^  metric +auroc \[.*\] higher is better, ranks", out, re.MULTILINE)
    assert (
        re.search(r"^  against +.*the names? of a dataset", out, re.MULTILINE)
        or "list of names of a dataset" in out
    )


def test_show_of_a_name_that_cannot_be_imported_says_why(install, capsys):
    source = """
        import mfbench
        @mfbench.hookimpl
        def mfbench_register(registry):
            registry.sampler("gone", "no_such_module:It", summary="")
    """
    install("pointing", {"pointing": source})
    assert main(["show", "sampler", "gone"]) == 2
    assert "cannot be used: ModuleNotFoundError: No module named 'no_such_module'" in capsys.readouterr().err


def test_show_of_a_kind_alone_names_all_of_the_kind(write, capsys):
    path = write("mine.py", PLUGIN)
    assert main(["show", "sampler", "--plugin", str(path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("mfbench: show sampler: a NAME is missing after the kind; there are: ")
    assert {"halves", "rk4"} <= set(said.strip().partition("there are: ")[2].split(", "))


def test_show_of_a_cell_without_a_store(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["show", "0123abcd"]) == 2
    assert "results.sqlite" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


FAILING = """
    import mfbench

    class Failing(mfbench.Likelihood):
        \"\"\"Fails.\"\"\"

        def fit(self, data, *, rng, progress):
            raise ValueError("on purpose")

    @mfbench.hookimpl
    def mfbench_register(registry):
        registry.likelihood("failing", Failing, summary="")
"""

SUITE = """
    [suite]
    name = "shown"
    seeds = [0]
    timing = false
    plugins = ["failing.py"]

    [[run]]
    protocol = "ood_auroc"
    data = { name = "moons", count = 100, test_count = 50 }
    against = [{ name = "circles", test_count = 50 }]
    methods = ["gaussian", "failing"]
"""


def test_show_of_a_cell_tells_what_was_asked_and_what_came_of_it(write, tmp_path, capsys):
    write("failing.py", FAILING)
    store = str(tmp_path / "store.sqlite")
    mfbench.run(write("suite.toml", SUITE), store=store, executor="inline", device="cpu")
    frame = mfbench.results(store).drop_duplicates("cell_id").set_index("method")
    capsys.readouterr()
    assert main(["show", frame.cell_id["gaussian"][:8], "--store", store]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"cell {frame.cell_id['gaussian']}\n")
    for line in (
        r"  method +gaussian",
        r"  status +ok",
        r"  seed +0",
        r"  auroc +circles +0\.\d+ +\[0\.\d+, .*n = 100",
    ):
        assert re.search(f"^{line}$", out, re.MULTILINE), line
    assert main(["show", frame.cell_id["failing"][:8], "--store", store]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^  status +failed$", out, re.MULTILINE)
    assert "ValueError: on purpose" in out
    assert 'raise ValueError("on purpose")' in out


# -- tables -------------------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_tables_are_plain_and_whole_where_there_is_no_terminal(capsys):
    _tables.print_table([("a", "x" * 300), ("bbb", "")])
    assert capsys.readouterr().out == f"  a    {'x' * 300}\n  bbb\n"
    assert _tables.heading("title") == "title"


@pytest.mark.parametrize("no_color", [False, True])
def test_tables_fit_a_terminal(monkeypatch, no_color):
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    monkeypatch.setenv("COLUMNS", "20")
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    else:
        monkeypatch.delenv("NO_COLOR", raising=False)
    _tables.print_table([("a", "x" * 300)])
    assert terminal.getvalue() == f"  a  {'x' * 14}…\n"
    assert _tables.heading("title") == ("title" if no_color else "\033[1mtitle\033[0m")
