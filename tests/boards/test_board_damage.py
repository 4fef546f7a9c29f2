"""A damaged board: whatever one key of its files is replaced by, commands end in a line, not in a traceback.

Mutations are listed, not drawn: every key of a record, a value, a timing, an error, a comparison, a run and
the rest of the provenance is taken away and replaced by values of other kinds. What the shapes refuse is
refused by all commands; what they let pass goes through those commands, in this process, where an exception
that is no `UserError` reaches the test.
"""

import json
import shutil
from contextlib import suppress

import board_fakes as fakes
import pytest

from mfbench.boards import bundle, formats
from mfbench.boards.publish import publish
from mfbench.boards.shapes import PARAMETERS
from mfbench.cli import main
from mfbench.errors import UserError
from mfbench.registry import Registry
from mfbench.store import Store

GONE = object()
WRONG = (GONE, None, "x", -1, [], {}, True, 10**400, "\ud800", [None], {"x": None})


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    """A small board with an error, timings and comparisons."""
    folder = tmp_path_factory.mktemp("damage")
    records, timings = fakes.ood_records(seeds=(0, 1))
    kept = [r for r in records if r["label"] in ("kde", "gmm", "untrained", "shapeless")]
    keys = {record["cache_key"] for record in kept}
    timed = [timing for timing in timings if timing["cache_key"] in keys]
    gpu = {"name": "H200", "driver": "570", "memory": "1 GiB"}
    path = fakes.fill(folder / "s.sqlite", kept, timed, provenance={**fakes.PROVENANCE, "gpus": [gpu]})
    with Store(path) as store:
        publish(store, Registry(), folder / "out")
    return folder / "out"


@pytest.fixture
def copy(board, tmp_path):
    shutil.copytree(board, tmp_path / "out")
    return tmp_path / "out"


def commands(out):
    """Exit codes of what reads a board without computing anything."""
    folder = out / "quick"
    store = out.parent / "s.sqlite"
    codes = [
        main(["publish", "--check", "--out", str(out)]),
        main(["import", str(folder), "--store", str(store)]),
        main(["compare", str(folder), str(folder)]),
    ]
    if codes[1] == 0:  # what was taken in can be published again
        with Store(store) as taken, suppress(UserError):
            publish(taken, Registry(), out.parent / "again")
    for path in out.parent.glob("s.sqlite*"):
        path.unlink()
    return codes


def replaced(holder, key, value):
    if value is GONE:
        del holder[key]
    else:
        holder[key] = value


def write_line(path, lines, place, item):
    text = [*lines[:place], json.dumps(item), *lines[place + 1 :]]
    path.write_text("".join(f"{line}\n" for line in text))


def record_of(kind):
    """The first record of the board that has one of these."""
    return {
        "record": lambda record: record,
        "value": lambda record: record["values"][1] if record["values"] else None,
        "timing": lambda record: next(iter(record["timings"]), None),
        "error": lambda record: record["error"],
        "protocol": lambda record: record["protocol"],
        "method": lambda record: record["method"],
        "parameters": lambda record: record["protocol"]["parameters"],
        "reference": lambda record: record["protocol"]["parameters"]["against"][0],
    }[kind]


def complaints(capsys):
    """The lines on standard error that are not warnings."""
    return [line for line in capsys.readouterr().err.splitlines() if "warning:" not in line]


def judge(copy, capsys):
    """Refused in one line, which is given back, or read by every command."""
    try:
        bundle.read(copy / "quick")
    except UserError as error:
        return str(error)
    codes = commands(copy)
    assert set(codes) <= {0, 1, 2}
    said = complaints(capsys)
    assert len(said) == codes.count(2), said
    return ""


def check_mutations(copy, capsys, path, lines, place, find, key):
    """Every wrong value at one key of one line: no traceback, and where it is refused its place is named."""
    for wrong in WRONG:
        item = json.loads(lines[place])
        replaced(find(item), key, wrong)
        write_line(path, lines, place, item)
        refused = judge(copy, capsys)
        assert not refused or f"{path}, line {place + 1}: " in refused
        assert "\n" not in refused
        assert refused or wrong is not GONE or key in ("against", "count")  # parameters' names are not ours


RECORD_KEYS = [("record", key) for key in formats.RECORD.required]
NESTED_KEYS = [
    *(("value", key) for key in formats.VALUE.required),
    *(("timing", key) for key in formats.TIMING.required),
    *(("error", key) for key in ("type", "message")),
    *(("protocol", key) for key in ("kind", "name", "version", "parameters")),
    ("method", "parameters"),
    *(("parameters", key) for key in ("against", "count")),
    *(("reference", key) for key in ("kind", "name", "parameters")),
]


@pytest.mark.parametrize(("kind", "key"), [*RECORD_KEYS, *NESTED_KEYS])
def test_records(copy, capsys, kind, key):
    path = copy / "quick/records.jsonl"
    lines = path.read_text().splitlines()
    find = record_of(kind)
    place = next(n for n, line in enumerate(lines) if find(json.loads(line)) is not None)
    check_mutations(copy, capsys, path, lines, place, find, key)


@pytest.mark.parametrize("key", formats.COMPARISON.required)
def test_comparisons(copy, capsys, key):
    path = copy / "quick/comparisons.jsonl"
    lines = path.read_text().splitlines()
    check_mutations(copy, capsys, path, lines, 1, lambda line: line, key)


def provenance_places(found):
    """Every object in a provenance whose keys mean something, with those keys."""
    run = found["runs"]["run-1"]
    yield from ((found, key) for key in list(found))
    yield from ((run, key) for key in list(run))
    yield from ((run["provenance"], key) for key in list(run["provenance"]))
    yield from ((run["provenance"]["gpus"][0], key) for key in ("name", "driver"))
    about = found["protocols"]["ood_auroc/1"]
    yield from ((about, key) for key in list(about))
    yield from ((about["metrics"][0], key) for key in list(about["metrics"][0]))
    yield found["figures"], "ood_auroc-swiss_roll"


@pytest.mark.parametrize("turn", range(2))
def test_provenance(copy, capsys, turn):
    path = copy / "quick/provenance.json"
    whole = path.read_text()
    for number in range(len(list(provenance_places(json.loads(whole))))):
        found = json.loads(whole)
        holder, key = list(provenance_places(found))[number]
        replaced(holder, key, GONE if turn else WRONG[1 + number % (len(WRONG) - 1)])
        path.write_text(json.dumps(found))
        refused = judge(copy, capsys)
        assert not refused or str(path) in refused


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("records.jsonl", b"{}\n", "line 1: 'protocol' is missing"),
        ("records.jsonl", b"[" * 10**5, "line 1: not JSON"),
        ("records.jsonl", b'{"nfe": NaN}\n', "line 1: not JSON (NaN"),
        ("comparisons.jsonl", b"{}\n", "line 1: 'a' is missing"),
        ("comparisons.jsonl", b"7\n", "line 1: a JSON object"),
        ("provenance.json", b"{}", "format None is not 1"),
        ("provenance.json", b'{"format": 1}', "'mfbench' is missing"),
        ("figures.npz", b"PK\x03\x04" + bytes(100), "not an archive of plain arrays"),
    ],
)
def test_files_of_something_else(copy, capsys, name, content, said):
    path = copy / "quick" / name
    path.write_bytes(content)
    refused = [
        ["publish", "--check", "--out", str(copy)],
        ["import", str(path.parent), "--store", str(copy / "s.sqlite")],
        ["verify", str(path.parent)],
    ]
    for arguments in refused:
        assert main(arguments) == 2
        error = capsys.readouterr().err
        assert str(path) in error
        assert said in error
        assert error.count("\n") == 1


@pytest.mark.parametrize("content", ["", "suite = 3\n", "[suite]\nname = 1\n", "\x00", "a = " + "[" * 9999])
def test_a_damaged_suite_shows_no_description(copy, capsys, content):
    (copy / "quick/suite.toml").write_text(content)
    assert main(["publish", "--check", "--out", str(copy)]) == 1
    assert main(["verify", str(copy / "quick")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("wrong", [{}, {"suite": "x"}, {"tables": [{}]}])
def test_the_summary_of_another_board_is_checked_too(copy, capsys, wrong):
    (copy / "quick/board.json").write_text(json.dumps(wrong))
    assert main(["publish", "--check", "--out", str(copy)]) == 2
    assert "board.json: 'suite' is missing" in capsys.readouterr().err or "suite" in wrong


def test_archives_with_a_changed_byte_are_read_or_refused(copy):
    path = copy / "quick/figures.npz"
    content = path.read_bytes()
    for place in range(0, len(content), max(1, len(content) // 150)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0x41]) + content[place + 1 :])
        with suppress(UserError):
            bundle.read_arrays(path)


def test_whole_files_and_single_values_are_judged_alike(board):
    """`holds`, which is asked of columns, and `problem`, which is asked of one line, never disagree."""
    lines = (board / "quick/records.jsonl").read_text().splitlines()
    sound = [json.loads(line) for line in lines]
    assert formats.RECORD.holds(sound)
    for kind, key in [*RECORD_KEYS, *NESTED_KEYS]:
        for wrong in WRONG:
            items = [json.loads(line) for line in lines]
            place = next(n for n, item in enumerate(items) if record_of(kind)(item) is not None)
            replaced(record_of(kind)(items[place]), key, wrong)
            assert formats.RECORD.holds(items) == (formats.RECORD.problem(items[place], "") == "")


def test_equal_neighbours_do_not_hide_a_bad_one():
    bad = {"a": {"kind": "dataset"}}
    assert PARAMETERS.holds([{"a": 1}, {"a": 1}, {"a": True}, {}])
    for items in ([bad, bad], [{"a": 1}, bad], [bad, {"a": 1}], [{"a": 1}, {"a": 1}, bad]):
        assert not PARAMETERS.holds(items)
