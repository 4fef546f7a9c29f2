"""What the bench itself costs: pytest benchmarks/test_engine.py. Targets: a no-op cell with its record stored
in 3 ms, a cached cell in 1 ms. Each figure is the minimum of five runs; name the machine with it.
"""

import textwrap
import time
from pathlib import Path

import pytest

from mfbench.engine import Listener, run_plan
from mfbench.plan.planning import make_plan
from mfbench.registry import load_registry
from mfbench.store import Store
from mfbench.suite import parse_suite
from mfbench.timing import synchronized_timer
from mfbench.wording import Where

NO_OP_S, CACHED_S = 3e-3, 1e-3
CELLS = 500
ROUNDS = 5

PLUGIN = '''
    import torch
    import mfbench

    class Nothing(mfbench.Dataset):
        shape = (1,)

        def make_split(self, split):
            return mfbench.Split(torch.zeros(1, 1))

    class NoOp(mfbench.Likelihood):
        """Does nothing."""

    class Noted(mfbench.EvaluationProtocol):
        """Measures nothing, and notes a number."""

        kind = "likelihood"
        metrics = (mfbench.Metric("zero", primary=True),)

        def evaluate(self, method, data, *, rng, clock, number: int = 0):
            return mfbench.Measurement([mfbench.Value("zero", "", 0.0)])

    @mfbench.hookimpl
    def mfbench_register(registry):
        registry.dataset("nothing", Nothing, summary="one point")
        registry.likelihood("no_op", NoOp, summary="does nothing")
        registry.protocol("noted", Noted, summary="measures nothing")
'''


@pytest.fixture
def plan(tmp_path, monkeypatch):
    """CELLS cells that do nothing."""
    monkeypatch.setenv("MFBENCH_CACHE", str(tmp_path / "cache"))
    plugin = tmp_path / "no_op.py"
    plugin.write_text(textwrap.dedent(PLUGIN))
    text = f"""
        [suite]
        name = "no_op"
        seeds = {list(range(CELLS))}
        timing = false
        [[run]]
        protocol = "noted"
        data = "nothing"
        methods = ["no_op"]
    """
    suite = parse_suite(text, Path.cwd(), Where("no_op.toml"))
    return make_plan(suite, load_registry([str(plugin)]))


class Stopwatch(Listener):
    """Seconds from the first cell's record to the last one's: the child's start is not in it."""

    def __init__(self):
        self.first = self.last = None

    def finished(self, job, record):
        assert record["status"] == "ok", record["error"]
        self.last = time.perf_counter()
        self.first = self.first or self.last


def test_a_no_op_cell_with_its_record_stored(plan, tmp_path):
    seconds = []
    for attempt in range(ROUNDS):
        watch = Stopwatch()
        with Store(tmp_path / f"{attempt}.sqlite") as store:
            run_plan(plan, store, listener=watch)
            assert len(store.statuses()) == CELLS
        seconds.append((watch.last - watch.first) / (CELLS - 1))
    print(f"\n{min(seconds) * 1e3:.2f} ms a no-op cell")
    assert min(seconds) <= NO_OP_S


@pytest.mark.benchmark(timer=synchronized_timer, min_rounds=ROUNDS, warmup=False)
def test_a_cached_cell(plan, tmp_path, benchmark):
    with Store(tmp_path / "results.sqlite") as store:
        run_plan(plan, store)
        summary = benchmark(run_plan, plan, store)
        assert (summary.cached, summary.computed) == (CELLS, 0)
    if benchmark.stats is not None:  # None with --benchmark-disable
        assert benchmark.stats.stats.min / CELLS <= CACHED_S
