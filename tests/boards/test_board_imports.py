"""Records of another machine: a run goes on, twice is once, and contradictions are refused."""

import json

import board_fakes as fakes
import pytest

from mfbench.boards.publish import publish
from mfbench.cli import main
from mfbench.registry import Registry
from mfbench.store import Store


@pytest.fixture(scope="module")
def registry():
    return Registry()  # nothing is registered: reading signatures would take a child process


@pytest.fixture(scope="module")
def board(tmp_path_factory, registry):
    folder = tmp_path_factory.mktemp("there")
    with Store(fakes.quick(folder / "store.sqlite")) as store:
        publish(store, registry, folder / "out")
    return folder / "out" / "quick"


def run_import(board, store, *options):
    return main(["import", str(board / "records.jsonl"), "--store", str(store), *options])


def test_the_board_of_an_imported_store_is_the_same_to_the_byte(board, tmp_path, registry):
    assert run_import(board, tmp_path / "here.sqlite") == 0
    with Store(tmp_path / "here.sqlite") as store:
        publish(store, registry, tmp_path / "out")
    for path in board.rglob("*"):
        if path.is_file():
            assert (tmp_path / "out/quick" / path.relative_to(board)).read_bytes() == path.read_bytes(), path


def test_imported_results_are_not_computed_again(board, tmp_path):
    run_import(board, tmp_path / "here.sqlite")
    with Store(tmp_path / "here.sqlite") as here, Store(board.parent.parent / "store.sqlite") as there:
        assert here.statuses() == there.statuses()
        mine, theirs = here.results(), there.results()
        scores = here.scores(here.statuses())
    assert all(mine[cell]["values"] == theirs[cell]["values"] for cell in theirs)
    assert scores == {}


def test_importing_twice_changes_nothing(board, tmp_path, capsys):
    run_import(board, tmp_path / "here.sqlite")
    assert "quick: 72 records, 72 of them new" in capsys.readouterr().out
    assert run_import(board, tmp_path / "here.sqlite") == 0
    assert "quick: 72 records, 0 of them new" in capsys.readouterr().out


def test_comparisons_made_of_scores_that_stayed_there_are_used(board, tmp_path, registry):
    run_import(board, tmp_path / "here.sqlite")
    with Store(tmp_path / "here.sqlite") as store:
        publish(store, registry, tmp_path / "out")
    page = (tmp_path / "out/quick/README.md").read_text()
    assert "Compared by paired bootstrap (6 pairs, by its normal limit). By example, these fits" in page
    assert "the spread of training is not in them" in page


def test_without_them_methods_are_compared_by_seeds_and_that_is_said(board, tmp_path, registry):
    import shutil

    shutil.copytree(board, tmp_path / "bare")
    (tmp_path / "bare/comparisons.jsonl").write_text("")
    run_import(tmp_path / "bare", tmp_path / "here.sqlite")
    with Store(tmp_path / "here.sqlite") as store:
        publish(store, registry, tmp_path / "out")
    assert "Compared by paired t over 3 seeds (6 pairs)." in (tmp_path / "out/quick/README.md").read_text()


def changed(board, tmp_path, change):
    """A copy of the board in which one ok record was changed."""
    import shutil

    shutil.copytree(board, tmp_path / "changed")
    path = tmp_path / "changed/records.jsonl"
    records = [json.loads(line) for line in path.read_text().splitlines()]
    change(next(record for record in records if record["status"] == "ok"))
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    return tmp_path / "changed"


def test_other_numbers_under_the_same_key_are_refused_unless_ours_are_kept(board, tmp_path, capsys):
    store = tmp_path / "here.sqlite"
    run_import(board, store)
    capsys.readouterr()
    other = changed(board, tmp_path, lambda record: record["values"][0].update(value=0.1))
    assert run_import(other, store) == 2
    error = capsys.readouterr().err
    assert "quick: 1 results are in" in error
    assert "auroc: 0.943 here, 0.1 there" in error
    assert error.count("\n") == 1
    assert run_import(other, store, "--keep") == 0
    assert "1 kept as they were here" in capsys.readouterr().out
    assert main(["compare", str(board), str(store)]) == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda record: record.update(seed=7), "line 1: cell_id"),
        (lambda record: record.update(seed="0"), "line 1: 'seed' is text \"0\", not a whole number"),
        (lambda record: record.pop("cache_key"), "line 1: 'cache_key' is missing"),
        (
            lambda record: record.update(status="fine"),
            "line 1: 'status' is text \"fine\", not one of missing, ok, failed",
        ),
        (lambda record: record["values"][0].pop("ci_low"), "line 1: 'values[0].ci_low' is missing"),
        (
            lambda record: record["values"][0].update(value="big"),
            "line 1: 'values[0].value' is text \"big\", not a number",
        ),
    ],
)
def test_a_line_that_is_no_record_is_told_with_its_place(board, tmp_path, capsys, change, said):
    assert run_import(changed(board, tmp_path, change), tmp_path / "here.sqlite") == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    with Store(tmp_path / "here.sqlite") as store:
        assert store.statuses() == {}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"difference": 0.5}, "line 1: difference 0.5 of"),
        ({"p_holm": 0.123}, "line 1: p_holm 0.123"),
        ({"p": None}, "line 1: p_holm"),
        ({"a_row": "0" * 16}, "has no auroc in the records"),
    ],
)
def test_comparisons_that_are_not_of_the_records_are_refused(board, tmp_path, capsys, change, said):
    import shutil

    shutil.copytree(board, tmp_path / "out/quick")
    path = tmp_path / "out/quick/comparisons.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[0].update(change)
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    assert run_import(path.parent, tmp_path / "here.sqlite") == 2
    assert said in capsys.readouterr().err
    assert main(["publish", "--check", "--out", str(tmp_path / "out")]) == 1
    assert said in capsys.readouterr().out


def test_other_files_are_refused(tmp_path, capsys):
    path = tmp_path / "results.csv"
    assert main(["import", str(path), "--store", str(tmp_path / "s.sqlite")]) == 2
    assert "there is no such file or folder" in capsys.readouterr().err
    path.touch()
    assert main(["import", str(path), "--store", str(tmp_path / "s.sqlite")]) == 2
    assert "records.jsonl is expected" in capsys.readouterr().err
    assert not (tmp_path / "s.sqlite").exists()
