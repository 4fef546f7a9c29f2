"""What `mfbench verify` lets pass on the machine of the board, on cells that are really computed again."""

import json
import shutil
from pathlib import Path

import pytest

import mfbench
from mfbench.boards.verify import verify
from mfbench.cli import main

SUITE = """
[suite]
name = "tolerance"
seeds = [0]
timing_budget = 0.01

[[run]]
protocol = "density_accuracy"
data = "moons"
methods = ["gaussian"]
"""


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tolerance")
    suite, store = folder / "tolerance.toml", folder / "results.sqlite"
    suite.write_text(SUITE)
    assert mfbench.run(suite, store=store, device="cpu").all_good
    assert main(["publish", "--store", str(store), "--out", str(folder / "boards")]) == 0
    return folder / "boards" / "tolerance"


def verdict_on(board, folder, factor):
    """The verdict on the board's one cell, its first value multiplied."""
    copy = Path(shutil.copytree(board, folder / "tolerance"))
    path = copy / "records.jsonl"
    (record,) = [json.loads(line) for line in path.read_text().splitlines()]
    value = record["values"][0]
    assert value["value"] != 0
    value["value"] *= factor
    path.write_text(json.dumps(record) + "\n")
    (verdict,) = verify(copy)
    return value["metric"], verdict


@pytest.mark.parametrize("factor", [1 + 1e-4, 1 - 1e-5])
def test_a_value_slightly_off_is_not_reproduced(factor, board, tmp_path):
    metric, verdict = verdict_on(board, tmp_path, factor)
    assert verdict.tolerance <= 1e-6
    assert verdict.worst == pytest.approx(abs(factor - 1), rel=1e-3)
    assert verdict.problem.startswith(metric)
    assert "recorded" in verdict.problem


def test_a_value_off_by_rounding_is_reproduced(board, tmp_path):
    assert verdict_on(board, tmp_path, 1 + 1e-9)[1].problem == ""
