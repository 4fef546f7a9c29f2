"""Verification: a sample of a real board is computed again; what was forged is found."""

import json
import math
import shutil
from pathlib import Path

import pytest

import mfbench
from mfbench.boards.bundle import Bundle
from mfbench.boards.verify import (
    _judge,
    draw,
    fresh_seed,
    relative_difference,
    same_setting,
    settings_of,
    varying_parameters,
)
from mfbench.cli import main
from mfbench.engine.provenance import provenance

PLUGIN = '''
import torch
import mfbench


class Points(mfbench.Dataset):
    shape = (2,)

    def make_split(self, split):
        rng = torch.Generator().manual_seed(self.seed + len(split))
        return mfbench.Split(torch.randn(64, 2, generator=rng))


class Centred(mfbench.Likelihood):
    """Its centre is learned, with noise."""

    def __init__(self, *, noise: float = 0.1) -> None:
        self.noise = noise

    def fit(self, data, *, rng, progress):
        self.centre = data.train.x.mean(0) + self.noise * torch.randn(2, generator=rng)

    def state_dict(self):
        return {"centre": self.centre}

    def load_state_dict(self, state):
        self.centre = state["centre"]

    def log_prob(self, x, *, rng=None):
        return -(x - self.centre).square().sum(1)


class Mean(mfbench.EvaluationProtocol):
    kind = "likelihood"
    metrics = (mfbench.Metric("mean", "nats", primary=True),)
    workload = "scores 64 points"

    def evaluate(self, method, data, *, rng, clock):
        clock.measure(lambda: method.score(data.test.x), budget_s=0.01)
        score = method.score(data.test.x).double().numpy()
        mean = float(score.mean())
        value = mfbench.Value("mean", "", mean, len(score), mean - 0.1, mean + 0.1)
        return mfbench.Measurement([value], {"x": score})


@mfbench.hookimpl
def mfbench_register(registry):
    registry.dataset("points", Points, summary="points")
    registry.likelihood("centred", Centred, summary="minus the squared distance to a centre")
    registry.protocol("mean_score", Mean, summary="the mean score")
'''

SUITE = """
[suite]
name = "tiny"
seeds = [0, 1]
plugins = ["plugin.py"]
timing_budget = 0.01

[[run]]
protocol = "mean_score"
data = "points"
methods = ["centred", {name = "centred", noise = 0.5}]
"""


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    (folder / "plugin.py").write_text(PLUGIN)
    (folder / "tiny.toml").write_text(SUITE)
    summary = mfbench.run(folder / "tiny.toml", store=folder / "results.sqlite", device="cpu")
    assert summary.all_good
    plugin = ["--plugin", str(folder / "plugin.py")]
    store = ["--store", str(folder / "results.sqlite")]
    assert main(["publish", *store, "--out", str(folder / "boards"), *plugin]) == 0
    return folder / "boards" / "tiny"


@pytest.fixture
def copy(board, tmp_path):
    """The board, to be changed."""
    return Path(shutil.copytree(board, tmp_path / "tiny"))


def verify(folder, board, *options):
    """Paths in the suite start where the real board's suite was."""
    return main(["verify", str(folder), "--folder", str(board.parent.parent), *options])


def forge(folder, change):
    """Change every record of a board."""
    path = folder / "records.jsonl"
    records = [json.loads(line) for line in path.read_text().splitlines()]
    for record in records:
        change(record)
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records))


def test_a_board_reproduces_exactly(board, capsys):
    assert verify(board, board, "--sample", "9") == 0
    said = capsys.readouterr().out
    assert said.count("reproduces exactly") == 4
    assert "4 of 4 cells reproduce" in said


def test_a_board_reproduces_with_every_fit_done_again(board, capsys):
    assert verify(board, board, "--sample", "1", "--refit") == 0
    assert "1 of 1 cells reproduce" in capsys.readouterr().out


def test_what_was_forged_and_what_is_no_longer_asked_for_do_not_reproduce(board, copy, capsys):
    forge(copy, lambda record: record["values"][0].update(value=-1.0))
    suite = copy / "suite.toml"
    suite.write_text(suite.read_text().replace("noise = 0.5", "noise = 0.7"))
    assert verify(copy, board, "--sample", "9") == 1
    said = capsys.readouterr().out
    assert said.count("mean: -1 recorded") == 2
    assert said.count("no longer asks for it") == 2
    assert "0 of 4 cells reproduce" in said


def value(number, low=None, high=None):
    return {"metric": "m", "part": "", "value": number, "n": 9, "ci_low": low, "ci_high": high}


COSTS = {"nfe": 4.0, "parameter_count": None}


def judged(recorded, now, cpu=None, tolerance=None, **new):
    """The verdict on one value, computed on this machine or on one with another processor."""
    here = provenance(Path.cwd())
    runs = {"r": {"provenance": {**here, "cpu": cpu or here["cpu"]}}}
    record = {"run_id": "r", "cache_key": "k", "values": [recorded], **COSTS}
    computed = {"cache_key": "k", "status": "ok", "error": None, "values": [now], **COSTS, **new}
    return _judge(record, computed, Bundle([record], [], {"runs": runs}), tolerance)


@pytest.mark.parametrize(
    ("now", "cpu", "tolerance", "good"),
    [
        (1.0, None, None, True),
        (1.0000001, None, None, True),
        (1.001, None, None, False),
        (1.001, "another", None, True),
        (1.05, "another", None, False),
        (1.05, None, 0.1, True),
        (1.001, "another", 1e-6, False),
        (math.nan, None, None, False),
    ],
)
def test_values_must_agree_and_less_closely_on_another_machine(now, cpu, tolerance, good):
    assert (judged(value(1.0), value(now), cpu, tolerance).problem == "") == good


def test_on_another_machine_a_value_inside_its_interval_is_good():
    assert judged(value(1.0, 0.9, 1.1), value(1.05, 0.95, 1.15), "another").problem == ""
    assert judged(value(1.0, 0.9, 1.1), value(1.05, 0.95, 1.15)).problem == "m: 1 recorded, 1.05 now"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"n": 10}, "m, n: 9 recorded, 10 now"),
        ({"ci_low": 0.2}, "m, ci_low: 0.9 recorded, 0.2 now"),
        ({"ci_high": 9.0}, "m, ci_high: 1.1 recorded, 9 now"),
        ({"ci_low": None, "ci_high": None}, "m, ci_low: 0.9 recorded, none now"),
    ],
)
@pytest.mark.parametrize("cpu", [None, "another"])
def test_numbers_of_examples_and_intervals_must_agree_too(change, said, cpu):
    recorded = value(1.0, 0.9, 1.1)
    assert judged(recorded, {**recorded, **change}, cpu).problem == said
    assert judged(recorded, recorded, cpu).problem == ""


def test_a_forged_wide_interval_does_not_excuse_itself():
    assert judged(value(1.0, 0.0, 2.0), value(1.0, 0.9, 1.1), "another").problem.startswith("m, ci_low")


@pytest.mark.parametrize("cpu", [None, "another"])
@pytest.mark.parametrize(
    ("name", "now", "said"),
    [("nfe", 8.0, "nfe: 4 recorded, 8 now"), ("parameter_count", 7, "parameter_count: none recorded, 7 now")],
)
def test_costs_must_agree_too(name, now, said, cpu):
    assert judged(value(1.0), value(1.0), cpu, **{name: now}).problem == said


def test_lines_are_told_apart_by_the_parameters_that_vary():
    records = [
        {
            "cell_id": str(step),
            "protocol": {"name": "p", "version": 1, "parameters": {"step": step, "count": 5}},
            "data": {"name": "d", "parameters": {}},
        }
        for step in (1.0, 2.0)
    ]
    assert varying_parameters(records) == {"1.0": {"step": 1.0}, "2.0": {"step": 2.0}}


def test_a_sample_is_drawn_afresh_and_can_be_repeated(board, capsys, monkeypatch):
    monkeypatch.setattr("mfbench.boards.verify.fresh_seed", lambda: 31)
    assert verify(board, board, "--sample", "1") == 0
    drawn = capsys.readouterr().out
    assert "--seed 31" in drawn
    assert verify(board, board, "--sample", "1", "--seed", "31") == 0
    assert capsys.readouterr().out == drawn


def test_fresh_seeds_differ():
    assert len({fresh_seed() for _ in range(20)}) > 15


def test_a_cell_that_fails_now_or_has_other_values_does_not_reproduce():
    error = {"type": "E", "message": "no memory"}
    assert judged(value(1.0), value(1.0), status="oom", error=error).problem == "oom: no memory"
    assert judged(value(1.0), {**value(1.0), "part": "x"}).problem == "m: only recorded"


def test_changed_code_is_remarked():
    assert judged(value(1.0), value(1.0), cache_key="other").remark == "code or data changed since"


def test_a_board_without_a_cell_to_compute_is_bad_input(board, copy, capsys):
    forge(copy, lambda record: record.update(status="failed"))
    assert verify(copy, board) == 2
    assert "no cell of this board can be computed here" in capsys.readouterr().err


def test_the_sample_depends_on_its_seed_alone():
    records = [{"place": place} for place in range(100)]
    first = [record["place"] for record in draw(records, 5, 0)]
    assert first == [record["place"] for record in draw(records, 5, 0)] == sorted(set(first))
    assert first != [record["place"] for record in draw(records, 5, 1)]
    assert len(draw(records, 500, 0)) == 100


def test_settings_of_a_run_are_read_from_the_end_of_its_suite():
    assert settings_of('[suite]\nname = "x"\n# --set a=1\n\n# --set suite.seeds=[0]\n# --set b="c"\n') == [
        "suite.seeds=[0]",
        'b="c"',
    ]
    assert settings_of("[suite]\n") == []


@pytest.mark.parametrize(
    ("a", "b", "difference"),
    [(1.0, 1.0, 0.0), (2.0, 1.0, 0.5), (0.0, 0.0, 0.0), (math.nan, math.nan, 0.0), (math.inf, 1.0, math.inf)],
)
def test_relative_differences(a, b, difference):
    assert relative_difference(a, b) == difference


def test_a_setting_is_the_same_only_where_everything_is():
    here = provenance(Path.cwd())
    assert same_setting(here)
    assert not same_setting({**here, "cpu": "another"})
    assert not same_setting({**here, "packages": {**here["packages"], "torch": "0.1"}})
