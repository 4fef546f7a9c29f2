"""A thousand damaged suites: each becomes a plan or one line of complaint, and never anything else."""

from __future__ import annotations

import copy
import json
import math
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from suite_fakes import SUITE, FakeRegistry, registry  # noqa: F401

from mfbench.cli import main
from mfbench.errors import UserError
from mfbench.plan import Plan
from mfbench.plan.planning import make_plan
from mfbench.suite import read_suite

TOKEN = re.compile(r'"[^"]*"|[\w.+-]+|\s+|.')

SPECIMENS: list[Any] = [
    *(
        0,
        -1,
        1,
        2,
        1.0,
        -0.0,
        1e308,
        math.nan,
        math.inf,
        2**40,
        10**30,
        10**5000,
        True,
        False,
        "",
        "x",
        "é😀",
    ),
    *(
        [],
        {},
        [[1]],
        [{}],
        [1, 1],
        ["kde", "kde"],
        {"name": 3},
        {"name": "kde", "x": {}},
        "../..",
        "\0",
        "a\nb",
    ),
    *("kde", "ddpm", "moons", "ood_auroc", "hen", {"name": "egg"}, "diffusion_markov", "loaded", "stepped"),
    *(
        {"name": "loaded", "weights": "."},
        {"name": "network", "hidden": [1]},
        "folder",
        "shuffled",
        "x" * 5000,
    ),
    *({"name": "shuffled", "data": {"name": "shuffled", "data": "moons"}}, {"step": [1], "count": [2]}),
]
KEYS = [
    "name",
    "grid",
    "step",
    "run",
    "suite",
    "methods",
    "seeds",
    "data",
    "bandwidth",
    "against",
    "a b",
    "",
    "é",
]


def toml(value: Any) -> str:
    """A value as inline TOML."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, bool):
        return str(value).lower()
    return hex(value) if isinstance(value, int) and value > 2**64 else repr(value)


@st.composite
def rearranged(draw: st.DrawFn) -> bytes:
    """Well-formed TOML: the suite with one to four keys or values deleted, doubled, renamed or replaced."""
    suite = tomllib.loads(SUITE)
    for _ in range(draw(st.integers(1, 4))):
        slots = list(_slots(suite))
        if slots:
            change = draw(st.sampled_from(["delete", "double", "rename", "replace", "replace", "wrap"]))
            _change(draw, *draw(st.sampled_from(slots)), change)
    lines = [f"{json.dumps(key)} = {toml(value)}" for key, value in suite.items()]
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def _slots(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in a nested value: what holds it, and under which key or index."""
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from _slots(value[key])


def _as_text(value: Any) -> str:
    """A value in words; a number of more digits than Python writes out is still a text."""
    try:
        return str(value)
    except ValueError:
        return "a very large number"


def _change(draw: st.DrawFn, holder: Any, key: Any, change: str) -> None:
    if change == "delete":
        del holder[key]
    elif change == "double" and isinstance(holder, list):
        holder.insert(key, copy.deepcopy(holder[key]))
    elif change == "rename" and isinstance(holder, dict):
        holder[draw(st.sampled_from(KEYS) | st.just(key[1:]))] = holder.pop(key)
    elif change == "wrap":
        holder[key] = draw(st.sampled_from([[holder[key]], {"name": holder[key]}, _as_text(holder[key])]))
    else:
        holder[key] = copy.deepcopy(draw(st.sampled_from(SPECIMENS)))


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """The suite after one to six changes, the last of them perhaps to its bytes."""
    text = SUITE
    for _ in range(draw(st.integers(1, 6))):
        text = draw(st.sampled_from([_tokens, _tokens, _lines, _characters]))(draw, text)
    content = text.encode("utf-8", "surrogatepass")
    if draw(st.integers(0, 9)) == 0:
        spot = draw(st.integers(0, len(content)))
        content = content[:spot] + draw(st.binary(max_size=8)) + content[spot:]
    return content


def _tokens(draw: st.DrawFn, text: str) -> str:
    """A word or value deleted, doubled, exchanged with another, or replaced by another value."""
    tokens = TOKEN.findall(text)
    spot, other = (draw(st.integers(0, max(0, len(tokens) - 1))) for _ in range(2))
    if not tokens:
        return text
    new = draw(st.sampled_from(["", tokens[spot] * 2, tokens[other]]) | st.sampled_from(SPECIMENS).map(toml))
    return "".join([*tokens[:spot], new, *tokens[spot + 1 :]])


def _lines(draw: st.DrawFn, text: str) -> str:
    """A line deleted, doubled, or moved."""
    lines = text.split("\n")
    line = lines.pop(draw(st.integers(0, len(lines) - 1)))
    for _ in range(draw(st.integers(0, 2))):
        lines.insert(draw(st.integers(0, len(lines))), line)
    return "\n".join(lines)


def _characters(draw: st.DrawFn, text: str) -> str:
    """Some characters at a random spot replaced by others."""
    spot = draw(st.integers(0, len(text)))
    return text[:spot] + draw(st.text(max_size=4)) + text[spot + draw(st.integers(0, 3)) :]


RELAXED = settings(
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
SETTING = st.builds(
    "{}={}".format, st.sampled_from(KEYS) | st.text(max_size=9), st.sampled_from(SPECIMENS).map(toml)
)


def outcome(registry: FakeRegistry, path: Path, content: bytes, setting: str | None) -> str:  # noqa: F811
    """ "planned", or why not in a word; any other end is an exception."""
    path.write_bytes(content)
    complaint = ""
    try:
        suite = read_suite(path, [] if setting is None else [setting])
        assert isinstance(make_plan(suite, registry), Plan)
    except UserError as error:
        complaint = str(error)
    assert complaint.isprintable()
    assert complaint.startswith((f"{path}: ", "--set ")) or not complaint
    return "planned" if not complaint else "not TOML" if "not TOML" in complaint else "refused"


@settings(RELAXED, max_examples=1000)
@given(content=rearranged(), setting=st.none() | st.none() | SETTING)
def test_a_rearranged_suite_is_planned_or_refused(registry: FakeRegistry, tmp_path: Path, content, setting):  # noqa: F811
    event(outcome(registry, tmp_path / "quick.toml", content, setting))


@settings(RELAXED, max_examples=300)
@given(content=damaged())
def test_a_damaged_suite_is_planned_or_refused(registry: FakeRegistry, tmp_path: Path, content):  # noqa: F811
    event(outcome(registry, tmp_path / "quick.toml", content, None))


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    """A cache folder of these tests' own: signatures are read once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def refused(tmp_path: Path, cache: Path, capsys, monkeypatch):
    """Runs a suite through the command line; its exit code, with all that a mistake must leave as it was."""

    monkeypatch.setenv("MFBENCH_CACHE", str(cache))

    def run(content: bytes, *options: str) -> str:
        path, store = tmp_path / "quick.toml", tmp_path / "results.sqlite"
        path.write_bytes(content)
        code = main(["run", str(path), "--store", str(store), "--dry-run", *options])
        said = capsys.readouterr()
        assert not store.exists()
        assert code in (0, 2)
        if code == 0:
            return ""
        assert said.out == ""
        (line,) = [line for line in said.err.splitlines() if not line.startswith("mfbench: warning: ")]
        assert line.startswith("mfbench: ")
        return line

    return run


@settings(RELAXED, max_examples=40)
@given(content=rearranged() | damaged())
def test_the_command_line_says_one_line_and_exits_with_2(refused, content):
    refused(content)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"\xff\xfe", "not UTF-8 text"),
        (b"[suite", "not TOML"),
        (SUITE.replace("kde", "kda").encode(), "there is no likelihood 'kda'; did you mean 'kde'?"),
        (SUITE.replace("bandwidth", "bandwith").encode(), "run[0].methods[1].bandwith: "),
    ],
)
def test_the_line_is_the_complaint(refused, content, expected):
    assert expected in refused(content)
