"""What the executor `dask` costs: pytest benchmarks/test_dask.py -s.

Targets: 10,000 no-op cells over four workers at 10 ms a cell, in a coordinator whose memory stays flat;
100,000 cells planned in 10 s. Name the machine with the figures: four workers and their children want more
than two cores. A busy machine shows in the time by the clock but hardly in the CPU time, which is printed
beside it, and which planning (one thread, no input or output) is held to.
MFBENCH_BENCH_CELLS changes the number of cells.
"""

import os
import resource
import textwrap
import time
from pathlib import Path

import pytest
from test_engine import PLUGIN

from mfbench.engine import Listener, run_plan
from mfbench.engine.limits import readable, resident_size
from mfbench.plan.planning import make_plan
from mfbench.processes import descendants
from mfbench.registry import load_registry
from mfbench.store import Store
from mfbench.suite import parse_suite
from mfbench.wording import Where

CELL_S, PLANNING_S = 10e-3, 10.0
GROWTH = 32 << 20
"""Bytes by which the coordinator may grow from a tenth of the cells to the last one."""

CELLS = int(os.environ.get("MFBENCH_BENCH_CELLS", "10000"))
WORKERS = 4


@pytest.fixture
def plan_of(tmp_path, monkeypatch):
    """A plan of so many cells that do nothing."""
    monkeypatch.setenv("MFBENCH_CACHE", str(tmp_path / "cache"))
    plugin = tmp_path / "no_op.py"
    plugin.write_text(textwrap.dedent(PLUGIN))
    registry = load_registry([str(plugin)])

    def make(cells):
        text = f"""
            [suite]
            name = "no_op"
            seeds = {list(range(100))}
            timing = false
            [[run]]
            protocol = "noted"
            data = "nothing"
            methods = ["no_op"]
            grid.number = {list(range(cells // 100))}
        """
        return make_plan(parse_suite(text, Path.cwd(), Where("no_op.toml")), registry)

    return make


class Gauge(Listener):
    """Time, CPU time and the coordinator's memory at the first record, a tenth of them, and the last."""

    def __init__(self):
        self.count = 0
        self.marks = {}

    def finished(self, job, record):
        assert record["status"] == "ok", record["error"]
        self.count += 1
        if self.count in (1, CELLS // 10, CELLS):
            self.marks[self.count] = time.perf_counter(), cpu_seconds(), resident_size()


def cpu_seconds():
    """CPU time of this process, and of all that it started and that still runs."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    return own.ru_utime + own.ru_stime + sum(map(_cpu_of, descendants(os.getpid())))


def _cpu_of(pid):
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.slow
@pytest.mark.parametrize(("executor", "workers"), [("dask", WORKERS), ("local", WORKERS)])
def test_no_op_cells_over_four_workers(plan_of, tmp_path, executor, workers):
    """`local` stands beside it: what of the cost is Dask's."""
    if executor == "dask":
        pytest.importorskip("distributed", reason="Dask is not installed: pip install 'mfbench[dask]'")
    plan, gauge = plan_of(CELLS), Gauge()
    with Store(tmp_path / "results.sqlite") as store:
        run_plan(plan, store, executor=executor, workers=workers, listener=gauge)
        assert len(store.statuses()) == CELLS
    (began, cpu_began, _), (_, _, early), (ended, cpu_ended, late) = gauge.marks.values()
    seconds, cpu = (ended - began) / CELLS, (cpu_ended - cpu_began) / CELLS
    clock, work = f"{seconds * 1e3:.2f} ms a cell by the clock", f"{cpu * 1e3:.2f} ms of CPU time"
    held = f"{readable(early)} after a tenth and {readable(late)} after the last"
    print(f"\n{executor}: {CELLS} cells, {clock}, {work}; the coordinator holds {held}")
    assert late - early < GROWTH
    assert seconds <= CELL_S


def test_planning_a_hundred_thousand_cells(plan_of):
    plan_of(100)  # the plugin is read once
    began, cpu_began = time.perf_counter(), time.process_time()
    plan = plan_of(100_000)
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu_began
    held = readable(resident_size())
    print(f"\n{len(plan.cells)} cells planned in {seconds:.1f} s, {cpu:.1f} s of CPU time; {held} held")
    assert len(plan.cells) == 100_000
    assert cpu < PLANNING_S
