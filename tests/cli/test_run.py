"""`mfbench run` and `mfbench try` as a person types them."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest

from mfbench.cli import main
from mfbench.cli._dry_run import Forecast, print_forecast
from mfbench.cli.try_ import _example
from mfbench.registry import load_registry
from mfbench.registry.schema import Parameter
from mfbench.store import Store

PLUGIN = '''
import torch
import mfbench


class Points(mfbench.Dataset):
    shape = (2,)

    def __init__(self, *, count: int = 8, seed: int = 0) -> None:
        super().__init__(seed=seed)
        self.count = count

    def make_split(self, split):
        return mfbench.Split(torch.rand(self.count, 2, generator=torch.Generator().manual_seed(self.seed)))


class Constant(mfbench.Likelihood):
    def __init__(self, *, level: float = 0.0) -> None:
        if level < 0:
            raise mfbench.UserError(f"constant: level = {level}: at least 0")
        self.level = level

    def log_prob(self, x, *, rng=None):
        return torch.full((len(x),), self.level)


class Broken(mfbench.Likelihood):
    def log_prob(self, x, *, rng=None):
        raise RuntimeError("this one never works")


class Mean(mfbench.EvaluationProtocol):
    """The mean score."""

    kind = "likelihood"
    metrics = (mfbench.Metric("mean", primary=True),)
    workload = "scores the test set"

    def evaluate(self, method, data, *, rng, clock, scale: float = 1.0):
        clock.measure(lambda: method.score(data.test.x), budget_s=0.01)
        scores = scale * method.score(data.test.x)
        return mfbench.Measurement([mfbench.Value("mean", "", float(scores.mean()), len(scores))])


@mfbench.hookimpl
def mfbench_register(registry):
    registry.dataset("points", Points, summary="points")
    registry.likelihood("constant", Constant, summary="one number")
    registry.likelihood("broken", Broken, summary="raises")
    registry.protocol("mean", Mean, summary="the mean score")
'''

SUITE = """
[suite]
name = "tiny"
seeds = [0, 1]
plugins = ["HOME/plugin.py"]
timing = false

[[run]]
protocol = "mean"
data = "points"
methods = ["constant", {name = "constant", level = 2}]
grid.scale = [1, 10]
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """A folder with the plugin and a cache, shared by all tests: the plugin is read once."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "plugin.py").write_text(PLUGIN)
    return folder


@pytest.fixture
def folder(tmp_path: Path, home: Path, monkeypatch) -> Path:
    """A folder with a suite; the current one."""
    monkeypatch.setenv("MFBENCH_CACHE", str(home / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.toml").write_text(SUITE.replace("HOME", str(home)))
    return tmp_path


@pytest.fixture
def mfbench(folder: Path, capsys):
    """Runs a command line; exit code, standard output and standard error."""

    def run(*words: str) -> SimpleNamespace:
        code = main(words)
        said = capsys.readouterr()
        return SimpleNamespace(code=code, out=said.out, err=said.err)

    return run


def counts(output: str) -> dict[str, int]:
    """The last line of a dry run's table, by column."""
    lines = [line.split() for line in output.splitlines()]
    (head,) = [words for words in lines if words[:2] == ["protocol", "data"]]
    (total,) = [words for words in lines if words[:1] == ["total"]]
    return dict(zip(head[2:], map(int, total[1:])))


def test_a_dry_run_writes_nothing(mfbench, folder):
    done = mfbench("run", "tiny.toml", "--dry-run")
    assert done.code == 0
    assert counts(done.out) == {"cells": 8, "cached": 0, "failed": 0, "stale": 0, "new": 8}
    assert "time: unknown: no past run tells of constant (8)" in done.out
    assert sorted(path.name for path in folder.iterdir()) == ["tiny.toml"]


def test_cells_are_computed_once_until_something_changes(mfbench, folder, home):
    assert mfbench("run", "tiny.toml", "--workers", "2").code == 0
    with Store(folder / "results.sqlite", create=False) as store:
        frame = store.frame("tiny")
    assert sorted(frame["value"]) == [0.0] * 4 + [2.0] * 2 + [20.0] * 2
    again = mfbench("run", "tiny.toml", "--dry-run")
    assert counts(again.out) == {"cells": 8, "cached": 8, "failed": 0, "stale": 0, "new": 0}
    assert "time: nothing to compute" in again.out
    more = mfbench("run", "tiny.toml", "--dry-run", "--set", "suite.seeds=[0, 1, 2]")
    assert counts(more.out) == {"cells": 12, "cached": 8, "failed": 0, "stale": 0, "new": 4}
    assert "time: about" in more.out
    (home / "plugin.py").write_text(PLUGIN.replace("self.level)", "self.level + 1)"))
    edited = mfbench("run", "tiny.toml", "--dry-run")
    (home / "plugin.py").write_text(PLUGIN)
    assert counts(edited.out) == {"cells": 8, "cached": 0, "failed": 0, "stale": 8, "new": 0}


def test_failures_are_results_and_run_again_only_when_asked(mfbench, folder):
    suite = folder / "tiny.toml"
    suite.write_text(suite.read_text().replace('["constant", ', '["broken", '))
    words = ("run", "tiny.toml", "--methods", "broken", "--select", "mean points broken")
    done = mfbench(*words)
    assert done.code == 1
    assert "this one never works" in done.err
    kept = mfbench(*words, "--dry-run")
    assert counts(kept.out) == {"cells": 4, "cached": 0, "failed": 4, "stale": 0, "new": 0}
    assert "failed cells run again with --retry only" in kept.out
    assert "time: nothing to compute" in kept.out
    assert "no past run tells of broken (4)" in mfbench(*words, "--dry-run", "--retry").out


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["tiny.tml"], "tiny.tml: there is no such suite file"),
        (["tiny.toml", "--set", "suite.seeds=[]"], "tiny.toml: suite.seeds: the list is empty"),
        (
            ["tiny.toml", "--set", "lvel=1"],
            "--set lvel: nothing in this suite has such a parameter; did you mean",
        ),
        (
            ["tiny.toml", "--methods", "constnat"],
            "the suite has no method 'constnat'; did you mean 'constant'?",
        ),
        (["tiny.toml", "--methods", ","], "argument --methods: ',' has an empty name"),
        (["tiny.toml", "--methods", "constant,,broken"], "'constant,,broken' has an empty name"),
        (["tiny.toml", "--select", ""], "argument --select: the text is empty; leave --select out"),
        (["tiny.toml", "--store", "gone/d/s.sqlite"], "'gone/d/s.sqlite': there is no folder 'gone/d'"),
        (["tiny.toml", "--select", "nothing"], "--select 'nothing' matches none of the suite's cells"),
        (["tiny.toml", "--workers", "0"], "argument --workers: '0' is not a number of workers"),
        (["tiny.toml", "--device", "gpu"], "--device gpu: it is 'auto', 'cpu', 'cuda' or 'cuda:N'"),
        (["tiny.toml", "--device", "cuda:999"], "--device cuda:999: th"),
        (["tiny.toml", "--device", "cuda:999", "--dry-run"], "--device cuda:999: th"),
        (
            ["tiny.toml", "--set", "run.0.methods.1.level=-1"],
            "tiny.toml: run[0].methods[1]: constant: level = -1.0: at least 0",
        ),
        (
            ["tiny.toml", "--dry-run", "--set", "run.0.methods.1.level=-1"],
            "tiny.toml: run[0].methods[1]: constant: level = -1.0: at least 0",
        ),
        (["tiny.toml", "--plugin", "none.py"], "there is no file"),
        (["tiny.toml", "--selct", "x"], "--selct"),
        ([], "the following arguments are required: SUITE"),
    ],
)
def test_bad_input_is_one_line_and_leaves_the_store_alone(mfbench, folder, words, expected):
    Store(folder / "results.sqlite").close()
    before = hashlib.sha256((folder / "results.sqlite").read_bytes()).hexdigest()
    done = mfbench("run", *words)
    assert done.code == 2
    assert done.out == ""
    (line,) = done.err.splitlines()
    assert line.startswith("mfbench: ")
    assert expected in line
    assert hashlib.sha256((folder / "results.sqlite").read_bytes()).hexdigest() == before
    assert not (folder / "results.sqlite.lock").exists()


def test_a_broken_plugin_of_the_suite_is_bad_input(mfbench, folder):
    (folder / "mine.py").write_text("import nothing_of_that_name")
    done = mfbench("run", "tiny.toml", "--set", 'suite.plugins=["mine.py"]')
    assert done.code == 2
    assert "nothing_of_that_name" in done.err


def test_planning_in_the_coordinator_imports_no_torch(mfbench, folder):
    assert mfbench("run", "tiny.toml", "--dry-run").code == 0
    code = (
        "import sys; from mfbench.cli import main\n"
        "code = main(['run', 'tiny.toml', '--dry-run', '--device', 'cpu'])\n"
        "print(code, {'torch', 'pandas', 'sklearn'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 set()"


def test_try_shows_one_cell_and_stores_nothing(mfbench, folder, home):
    entry = '{name = "constant", level = 2}'
    done = mfbench(
        *("try", "mean", "--data", "points", "--method", entry, "--plugin", f"{home}/plugin.py"),
        *("--set", "scale=3", "--set", "suite.timing_budget=0.05"),
    )
    assert done.code == 0
    assert "constant(level=2.0)" in done.out
    assert any(line.split()[:2] == ["mean", "6.0"] for line in done.out.splitlines())
    assert "timings" in done.out
    assert not list(folder.glob("*.sqlite"))


def test_try_tells_why_a_method_failed(mfbench, home):
    done = mfbench("try", "mean", "--data", "points", "--method", "broken", "--plugin", f"{home}/plugin.py")
    assert done.code == 1
    assert "RuntimeError: this one never works" in done.out


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            ["--data", "pionts", "--method", "constant"],
            "run[0].data: there is no dataset 'pionts'; did you mean",
        ),
        (["--data", "{name", "--method", "constant"], "--data: not TOML"),
        (
            ["--data", "points", "--method", "constant", "--seed", "-1"],
            "suite.seeds[0]: expected a whole number",
        ),
        (["--data", "points", "--method", "constant", "--set", "run.0.scal=1"], "run[0].scal"),
    ],
)
def test_try_refuses_in_one_line(mfbench, home, words, expected):
    done = mfbench("try", "mean", "--plugin", f"{home}/plugin.py", *words)
    assert done.code == 2
    assert expected in done.err
    assert len(done.err.splitlines()) == 1


def test_try_says_how_to_give_what_a_protocol_needs(mfbench):
    words = ("try", "ood_auroc", "--data", "swiss_roll", "--method", "kde")
    done = mfbench(*words)
    assert done.code == 2
    assert done.err == (
        "mfbench: ood_auroc needs a value for 'against' (a list of names of a dataset): "
        "give it with --set 'run.0.against=[\"circles\"]'\n"
    )
    followed = mfbench(*words, "--set", 'run.0.against=["circles"]', "--set", "run.0.nothing=1")
    assert "run[0].nothing" in followed.err
    assert "against" not in followed.err.partition(";")[0]


@pytest.mark.parametrize(
    ("parameter", "example"),
    [
        (Parameter("p", "ref", kind="dataset", many=True), '["circles"]'),
        (Parameter("p", "ref", kind="sampler"), '"ddim"'),
        (Parameter("p", "literal", choices=("a", "b")), '"a"'),
        (Parameter("p", "int", many=True), "[1]"),
        (Parameter("p", "bool"), "true"),
        (Parameter("p", "str"), '"..."'),
    ],
)
def test_examples_are_values_of_the_parameter(parameter, example):
    said = _example(parameter, load_registry(), "swiss_roll")
    assert said == example
    parameter.conform(tomllib.loads(f"p = {said}")["p"])


@pytest.mark.parametrize(
    ("found", "workers", "expected"),
    [
        (Forecast(seconds=200.0, foreseen=3), 1, "time: about 3 min 20 s"),
        (Forecast(seconds=200.0, foreseen=3), 2, "time: about 1 min 40 s with 2 workers"),
        (Forecast(seconds=30.0, foreseen=3, unknown=Counter(kde=2)), 1, "about 30 s, and unknown: kde (2)"),
        (Forecast(unknown=Counter(kde=2, gmm=1)), 1, "unknown: no past run tells of kde (2), gmm (1)"),
        (Forecast(), 1, "nothing to compute"),
    ],
)
def test_estimates(capsys, found, workers, expected):
    plan = SimpleNamespace(suite="s", cells=(), partial=False)
    print_forecast(plan, found, workers, retry=False)
    assert expected in capsys.readouterr().out


@pytest.mark.parametrize("body", ["raise OSError('no cluster\\nhere')", "return workers", "1 / 0"])
def test_an_executor_that_does_not_work_is_told_before_a_store_is_made(folder, mfbench, monkeypatch, body):
    (folder / "cluster.py").write_text(f"def pool(workers):\n    {body}\n")
    monkeypatch.syspath_prepend(str(folder))
    sys.modules.pop("cluster", None)
    done = mfbench("run", "tiny.toml", "--executor", "cluster:pool")
    assert done.code == 2
    assert done.err.startswith("mfbench: --executor cluster:pool: ")
    assert done.err.count("\n") == 1
    assert not (folder / "results.sqlite").exists()


@pytest.mark.parametrize(
    ("executor", "said"),
    [
        ("loacl", "it is 'local', 'inline', 'dask' or 'module:factory'"),
        ("pool:", "it is 'local', 'inline' or 'module:factory'"),
        ("nope:nope", "ModuleNotFoundError: No module named 'nope'"),
        ("string:nope", "AttributeError: module 'string' has no attribute 'nope'"),
        ("string:digits", "is a str, not a function of the workers"),
    ],
)
def test_a_dry_run_looks_for_the_executor(mfbench, executor, said):
    done = mfbench("run", "tiny.toml", "--dry-run", "--executor", executor)
    assert (done.code, done.out) == (2, "")
    assert done.err == f"mfbench: --executor {executor}: {said}\n"


def test_a_dry_run_starts_no_workers(mfbench, folder, monkeypatch):
    (folder / "pool_of_dry_runs.py").write_text("def pool(workers):\n    raise OSError('started')\n")
    monkeypatch.syspath_prepend(str(folder))
    assert mfbench("run", "tiny.toml", "--dry-run", "--executor", "pool_of_dry_runs:pool").code == 0


@pytest.mark.parametrize("option", [(), ("--dry-run",)])
def test_a_damaged_store_is_told_in_one_line(folder, mfbench, option):
    assert mfbench("run", "tiny.toml", "--executor", "inline").code == 0
    path = folder / "results.sqlite"
    with Store(path) as store:
        pages = "SELECT rootpage FROM sqlite_master WHERE name = 'results'"
        (page,) = store.connection.execute(pages).fetchone()
    content = bytearray(path.read_bytes())
    content[(page - 1) * 4096 : page * 4096] = b"\xff" * 4096
    path.write_bytes(content)
    done = mfbench("run", "tiny.toml", "--executor", "inline", *option)
    assert done.code == 2
    assert done.err.strip().splitlines()[-1].startswith("mfbench: results.sqlite: the store cannot be used (")
    assert "Traceback" not in done.err
