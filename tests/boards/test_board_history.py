"""The runs behind a board: `mfbench.boards.history`."""

from __future__ import annotations

from types import SimpleNamespace

import board_fakes as fakes
import pytest

from mfbench.boards import history
from mfbench.boards.folders import without_folders
from mfbench.boards.publish import publish
from mfbench.registry import Registry
from mfbench.store import Store


def test_runs_stand_in_the_order_in_which_they_began():
    """A store gives them as it likes, and `provenance.json` by their names: the pages must not differ."""
    late, early = {"started": "2026-11-26T09:00"}, {"started": "2026-11-26T08:00"}
    for runs in ({"a": late, "b": early}, {"b": early, "a": late}):
        assert list(history.runs_in_order(SimpleNamespace(provenance={"runs": runs}))) == ["b", "a"]


@pytest.mark.parametrize(
    ("word", "shown"),
    [
        ("/home/me/results.sqlite", "results.sqlite"),
        ("--store=/home/me/my runs/results.sqlite", "--store=results.sqlite"),
        ("~/results.sqlite", "~/results.sqlite"),
        ("~/runs/results.sqlite", "results.sqlite"),
        ('weights=["/a/b.pt", {x="/c/d/e.pt"}]', 'weights=["b.pt", {x="e.pt"}]'),
        ("benchmarks/quick.toml", "benchmarks/quick.toml"),
        ("./a/quick.toml", "./a/quick.toml"),
        ("../a/quick.toml", "../a/quick.toml"),
        ('executor.dask.address="tcp://head/a:8786"', 'executor.dask.address="tcp://head/a:8786"'),
        ("*ood/auroc/x*", "*ood/auroc/x*"),
        ("a / b / c", "a / b / c"),
    ],
)
def test_a_command_without_the_folders_of_a_machine(word, shown):
    assert without_folders(word) == shown


def test_no_folder_of_a_machine_is_on_a_board(tmp_path):
    """Neither on the pages nor in the files beside them."""
    place = "/home/somebody/secret-project"
    argv = [f"{place}/.venv/bin/mfbench", "run", f"{place}/quick.toml", "--store", f"{place}/r.sqlite"]
    about = {**fakes.PROVENANCE, "executable": f"{place}/.venv/bin/python3"}
    records, _ = fakes.ood_records()
    for record in records:
        weights = [{"file": f"{place}/weights.pt", "sha256": "0" * 64}]
        record["method"]["parameters"]["weights"] = weights
    with Store(fakes.fill(tmp_path / "store.sqlite", records, argv=argv, provenance=about)) as store:
        publish(store, Registry(), tmp_path / "out", html=True)
        assert next(iter(store.runs().values()))["argv"] == argv
    page = (tmp_path / "out" / "quick" / "README.md").read_text()
    assert "mfbench run quick.toml --store r.sqlite" in page
    assert '"file":"weights.pt"' in (tmp_path / "out" / "quick" / "records.jsonl").read_text()
    for file in (tmp_path / "out").rglob("*"):
        assert file.is_dir() or b"secret-project" not in file.read_bytes(), file
