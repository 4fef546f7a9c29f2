"""Suites as text: every defect of structure is one line that says where, what and what instead."""

from __future__ import annotations

from pathlib import Path

import pytest
from suite_fakes import SUITE

from mfbench.errors import UserError
from mfbench.suite import parse_suite, read_suite
from mfbench.wording import Where


def parse(text: str, *settings: str, folder: Path = Path()):
    return parse_suite(text, folder, Where("quick.toml"), settings)


def complaint(text: str, *settings: str, folder: Path = Path()) -> str:
    with pytest.raises(UserError) as caught:
        parse(text, *settings, folder=folder)
    message = str(caught.value)
    assert message.isprintable()
    return message


def test_a_suite_is_read():
    suite = parse(SUITE)
    assert (suite.name, suite.seeds, suite.threads, suite.dtype) == ("quick", (0, 1, 2), 1, "float32")
    assert (suite.time_limit, suite.fit_time_limit, suite.memory_limit) == (120.0, 3600.0, 8 * 2**30)
    assert (suite.timing, suite.timing_budget, suite.plugins, suite.text) == (True, 2.0, (), SUITE)
    first, second = suite.runs
    assert first.protocol.name == "ood_auroc"
    assert first.protocol.parameters == {"against": ["circles", "moons"]}
    assert (first.data.name, first.data.parameters) == ("swiss_roll", {"count": 10000})
    assert [entry.name for entry in first.methods] == ["diffusion_markov", "kde", "oracle_density"]
    assert (first.time_limit, first.fit_time_limit) == (120.0, 3600.0)
    assert second.fit_time_limit == 900.0
    assert second.grid == {"step": (1, 2, 5)}
    assert str(second.methods[1].where.path) == "run[1].methods[1]"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('name  = "quick"', "", "suite.name: missing"),
        ('name  = "quick"', 'name = "a/b"', 'suite.name: "a/b" cannot name a folder'),
        ('name  = "quick"', 'name = ".."', "suite.name"),
        ('name  = "quick"', "name = 3", "suite.name: 3 cannot name"),
        ("seeds = [0, 1, 2]", "", "suite.seeds: missing"),
        ("seeds = [0, 1, 2]", "seeds = []", "suite.seeds: the list is empty"),
        ("seeds = [0, 1, 2]", "seeds = 3", "suite.seeds: expected a list of seeds, found 3; write [3]"),
        ("seeds = [0, 1, 2]", "seeds = [0, 1, 0]", "suite.seeds[2]: seed 0 stands there twice"),
        ("seeds = [0, 1, 2]", "seeds = [-1]", "suite.seeds[0]: expected a whole number from 0"),
        ("seeds = [0, 1, 2]", "seeds = [true]", "suite.seeds[0]: expected a whole number"),
        ("seeds = [0, 1, 2]", "seeds = [0.0]", "suite.seeds[0]: expected a whole number"),
        ("seeds = [0, 1, 2]", "seeds = [4294967296]", "suite.seeds[0]: expected a whole number"),
        ("threads = 1", "threads = 0", "suite.threads: expected a whole number from 1"),
        ("threads = 1", "threads = true", "suite.threads"),
        ("threads = 1", "thread = 1", "suite.thread: unknown key; did you mean 'threads'?"),
        ("threads = 1", 'dtype = "float16"', 'suite.dtype: expected "float32" or "float64", found "float16"'),
        ("threads = 1", "dtype = []", "suite.dtype: expected"),
        ("threads = 1", 'timing = "no"', "suite.timing: expected true or false"),
        ("threads = 1", "timing_budget = 0", "suite.timing_budget: expected seconds above 0"),
        ("threads = 1", 'description = ""', "suite.description: expected a text"),
        ("threads = 1", 'plugins = "x"', "suite.plugins: expected a list of plugins"),
        ("threads = 1", "plugins = [1]", "suite.plugins[0]: expected a text"),
        (
            "threads = 1",
            'plugins = ["nowhere.py"]',
            "suite.plugins[0]: plugin 'nowhere.py': there is no file",
        ),
        ("threads = 1", 'plugins = ["~nobody-here/x.py"]', "suite.plugins[0]"),
        ("threads = 1", r'plugins = ["a\u0000.py"]', "suite.plugins[0]"),
        ("time_limit = 120", "time_limit = -1", "suite.time_limit: expected seconds above 0"),
        ("time_limit = 120", "time_limit = inf", "suite.time_limit: inf is not a finite number"),
        ("time_limit = 120", "time_limit = nan", "suite.time_limit: nan is not a finite number"),
        ("time_limit = 120", "time_limit = 1e300", "suite.time_limit: expected seconds"),
        ("time_limit = 120", 'time_limit = "1 h"', "suite.time_limit: expected seconds above 0 and at most"),
        ("time_limit = 120", "time_limit = 1979-05-27", 'suite.time_limit: "1979-05-27" is a date'),
        ('"8 GiB"', '"8 gigs"', "suite.memory_limit: expected a size above 0"),
        ('"8 GiB"', "-5", "suite.memory_limit: expected a size above 0"),
        ('"8 GiB"', '"0 GiB"', "suite.memory_limit: expected a size above 0"),
        ('"8 GiB"', "true", "suite.memory_limit: expected a size above 0"),
        ('"8 GiB"', "0x" + "f" * 40, "suite.memory_limit: the whole number does not fit into 64 bits"),
        ("[suite]", "[suit]", "suit: unknown key; did you mean 'suite'?"),
        ("[suite]", "[[suite]]", "suite: expected a table"),
        ('protocol = "ood_auroc"', "", "run[0].protocol: missing"),
        ('protocol = "ood_auroc"', "protocol = 5", "run[0].protocol: expected a text"),
        (
            '"diffusion_markov", ',
            "3, ",
            "run[0].methods[0]: expected a name or {name = ..., parameters}, found 3",
        ),
        ('"diffusion_markov", ', "{x = 1}, ", "run[0].methods[0]: the table has no name"),
        ('"diffusion_markov", ', "{name = 1}, ", "run[0].methods[0].name: expected a text"),
        ('["ddpm", "ddim"]', "[]", "run[1].methods: the list is empty"),
        ('["ddpm", "ddim"]', '"ddpm"', 'run[1].methods: expected a list of methods, found "ddpm"; write'),
        ("grid.step = [1, 2, 5]", "grid = 3", "run[1].grid: expected a table"),
        ("grid.step = [1, 2, 5]", "grid.step = []", "run[1].grid.step: the list is empty"),
        ("grid.step = [1, 2, 5]", "grid.step = 5", "run[1].grid.step: expected a list of values"),
        ("fit_time_limit = 900", "fit_time_limit = 0", "run[1].fit_time_limit: expected seconds"),
        ("fit_time_limit = 900", f"deep = {'[' * 30 + ']' * 30}", "nested too deeply"),
    ],
)
def test_defects_are_told_in_one_line(old, new, expected):
    assert old in SUITE
    message = complaint(SUITE.replace(old, new, 1))
    assert message.startswith("quick.toml: ")
    assert expected in message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "suite: missing"),
        ("[suite]\nname = 'x'\nseeds = [0]", "run: missing"),
        ("run = []\n[suite]\nname = 'x'\nseeds = [0]", "run: expected at least one [[run]] table"),
        ("run = [3]\n[suite]\nname = 'x'\nseeds = [0]", "run[0]: expected a table"),
        ("[run]\n[suite]\nname = 'x'\nseeds = [0]", "run: expected at least one [[run]] table"),
        ("[suite]\nname = ", "not TOML: Invalid value (at"),
        ("[suite]\nname = 'a'\nname = 'b'", "not TOML: Cannot overwrite a value (at the end, line 3)"),
        ("x = " + "9" * 5000, "not a suite: a number is too long"),
        ("x = " + "[" * 5000, "not a suite: nested too deeply"),
        (".".join("a" * 50) + " = 1", "nested too deeply"),
        ('"a\\nb" = 1', r'"a\nb": unknown key'),
    ],
)
def test_what_is_no_suite_at_all(text, expected):
    assert expected in complaint(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [('"8 GiB"', 2**33), ('"512MiB"', 2**29), ('"1.5 GB"', 1_500_000_000), ("1000", 1000), ('"64 B"', 64)],
)
def test_sizes(text, size):
    assert parse(SUITE.replace('"8 GiB"', text)).memory_limit == size


def test_a_run_has_the_suites_seeds_or_its_own():
    assert {run.seeds for run in parse(SUITE).runs} == {(0, 1, 2)}
    text = SUITE.replace("[[run]]", "[[run]]\nseeds = [8]", 1)
    assert parse(text).runs[0].seeds == (8,)
    assert "run[0].seeds[0]: expected a whole number from 0" in complaint(text.replace("[8]", "[-8]"))


def test_plugins_are_found_beside_the_suite(tmp_path):
    (tmp_path / "mine.py").write_text("")
    text = SUITE.replace("threads = 1", 'plugins = ["mine.py", "some.module"]')
    assert parse(text, folder=tmp_path).plugins == (str((tmp_path / "mine.py").resolve()), "some.module")


def test_files_that_cannot_be_suites(tmp_path):
    def told(path: Path) -> str:
        with pytest.raises(UserError) as caught:
            read_suite(path)
        return str(caught.value)

    assert told(tmp_path / "none.toml") == f"{tmp_path / 'none.toml'}: there is no such suite file"
    assert "is a folder" in told(tmp_path)
    (tmp_path / "latin.toml").write_bytes(b"# caf\xe9")
    assert "not UTF-8 text (byte 5)" in told(tmp_path / "latin.toml")
    assert "cannot be read" in told(tmp_path / "nul\0.toml")
    assert "cannot be read" in told(tmp_path / ("x" * 5000))


def test_byte_order_mark_and_windows_lines_are_fine(tmp_path):
    (tmp_path / "quick.toml").write_bytes(b"\xef\xbb\xbf" + SUITE.replace("\n", "\r\n").encode())
    assert read_suite(tmp_path / "quick.toml").text == SUITE


def test_settings_change_what_they_name():
    suite = parse(
        SUITE,
        "suite.seeds=[7]",
        'suite.dtype="float64"',
        "run.0.count = 500",
        "run.0.data.count=100",
        "run.1.data.count=50",
        "run.0.methods.1.bandwidth=0.2",
        "run.0.methods.0.rounds=3",
        "run.1.grid.step=[10]",
        "iterations=5",
    )
    assert (suite.seeds, suite.dtype) == ((7,), "float64")
    assert suite.runs[0].protocol.parameters["count"] == 500
    assert suite.runs[0].data.parameters == {"count": 100}
    assert (suite.runs[1].data.name, suite.runs[1].data.parameters) == ("swiss_roll", {"count": 50})
    assert suite.runs[0].methods[1].parameters == {"bandwidth": 0.2}
    assert suite.runs[0].methods[0].parameters == {"rounds": 3}
    assert suite.runs[1].grid == {"step": (10,)}
    assert suite.bare == {"iterations": 5}
    assert suite.text.startswith(SUITE)
    assert "\n# --set suite.seeds=[7]\n" in suite.text
    assert parse(suite.text).seeds == (0, 1, 2)


def test_a_setting_can_make_a_grid():
    assert parse(SUITE, "run.0.grid.rounds=[1, 2]").runs[0].grid == {"rounds": (1, 2)}


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("seeds", "expected KEY=VALUE"),
        ("=3", "expected KEY=VALUE"),
        ("suite.=3", "expected KEY=VALUE"),
        ("suite.a.b=3", "the key must be suite.KEY, run.N.KEY"),
        ("run.0=3", "the key must be suite.KEY, run.N.KEY"),
        ("board.x=3", "the key must be suite.KEY, run.N.KEY"),
        ("iterations=", "VALUE is TOML"),
        ("suite.dtype=float64", "texts need quotes"),
        ("iterations=1\nx=2", "one line of printable text"),
        ("iterations=\udcff", "not UTF-8"),
        ("run.9.count=3", '"9" is not an item of this list: give 0 to 1'),
        ("run.-1.count=3", '"-1" is not an item of this list'),
        ("run.x.count=3", '"x" is not an item'),
        ("run.0.methods.7.x=3", '"7" is not an item of this list: give 0 to 2'),
        ("run.0.data.count.x=3", "leads nowhere"),
        ("iterations=inf", "inf is not a finite number"),
        ("suite.threads=0", "suite.threads: expected a whole number"),
        ("suite.thread=1", "unknown key; did you mean 'threads'?"),
    ],
)
def test_settings_that_cannot_be(setting, expected):
    assert expected in complaint(SUITE, setting)


def test_a_key_is_set_once():
    assert "iterations is set twice" in complaint(SUITE, "iterations=1", "iterations=2")
