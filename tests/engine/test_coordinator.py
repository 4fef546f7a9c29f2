"""The coordinator on real suites: what is computed, once, and what is kept when something goes wrong."""

import multiprocessing
import os
import subprocess
import sys
import textwrap
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from engine_fakes import PLUGIN, answers, marked_processes

from mfbench import artifacts
from mfbench.engine import Listener, run_plan
from mfbench.engine.children import children
from mfbench.errors import UserError
from mfbench.paths import cache_root
from mfbench.store import Store


def counted(log):
    return Counter(log.read_text().splitlines())


def artifact_of(plan):
    return artifacts.artifact_folder(cache_root(), plan.fits[0].key) / artifacts.TENSORS


def process_pool(workers):
    """A factory as `--executor module:factory` takes it."""
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))


def broken_pool(workers):
    """Its workers die."""
    return ProcessPoolExecutor(workers, initializer=os._exit, initargs=(1,))


BAD = {
    "raises": "failed",
    "unsupported": "unsupported",
    "hard_exits": "crashed",
    "segfaults": "crashed",
    "nan": "failed",
    "wrong_shape": "failed",
    "fails_in_fit": "failed",
    '{name = "good", sleep = 100.0}': "timeout",
    "memory_bomb": "oom",
}


def test_every_bad_cell_costs_itself_only(plan_of, store, log):
    methods = "[" + ", ".join(m if m.startswith("{") else f'"{m}"' for m in BAD) + ', "good", "stateful"]'
    plan = plan_of(methods, suite='memory_limit = "900 MiB"', run="time_limit = 5")
    summary = run_plan(plan, store, workers=2)
    frame = store.frame("tiny")
    by_method = {record["label"]: record for record in store.results().values()}
    statuses = {label: record["status"] for label, record in by_method.items()}
    expected = {("good(sleep=100.0)" if "sleep" in name else name): status for name, status in BAD.items()}
    assert statuses == {**expected, "good": "ok", "stateful": "ok"}
    assert summary.statuses == dict(sorted(Counter(statuses.values()).items()))
    assert not summary.all_good
    assert set(frame[frame.status != "ok"].error) >= {"ValueError: no such thing"}
    assert (frame[frame.status == "ok"].metric != "").all()
    fault = by_method["fails_in_fit"]["error"]
    assert fault["type"] == "FitFailed"
    assert "fit of likelihood fails_in_fit(fit_sleep=0.0, " in fault["message"]
    assert "the loss is infinite" in fault["message"]
    assert "ArithmeticError" in fault["traceback"]
    assert marked_processes(log) == []


def test_a_result_is_not_computed_twice_and_retry_computes_the_failed_ones(plan_of, store, log):
    plan = plan_of(["good", "raises", "unsupported"])
    first = run_plan(plan, store, executor="inline")
    assert (first.computed, first.cached) == (3, 0)
    again = run_plan(plan, store, executor="inline")
    assert (again.computed, again.cached, again.statuses) == (0, 3, first.statuses)
    retried = run_plan(plan, store, executor="inline", retry=True)
    assert (retried.computed, retried.cached) == (1, 2)
    assert counted(log) == {"cell Good 0 1": 1}
    assert len(store.runs()) == 3


def test_a_fit_is_done_once_for_all_its_cells_and_kept(plan_of, store, log):
    plan = plan_of(["stateful", "wrapper"], seeds=(0, 1), count=17, run="grid.repeat = [1, 2]")
    assert len(plan.fits) == 2
    summary = run_plan(plan, store, workers=2)
    assert (summary.computed, summary.fits) == (8, {"ok": 2})
    assert {line: n for line, n in counted(log).items() if "fit" in line} == {
        "fit Stateful 0": 1,
        "fit Stateful 1": 1,
    }
    frame = store.frame("tiny").query("metric == 'mean'")
    means = {name: rows.value.to_numpy() for name, rows in frame.sort_values("seed").groupby("method")}
    assert means["wrapper"] == pytest.approx(2 * means["stateful"])
    assert (frame.parameter_count == 2).all()
    assert (frame.fit_s > 0).all()


def test_a_damaged_artifact_is_fitted_anew_and_a_good_one_is_not(plan_of, tmp_path, log):
    plan = plan_of(["stateful"], count=18)
    with Store(tmp_path / "a.sqlite") as store:
        run_plan(plan, store, executor="inline")
        expected = answers(store)
    with Store(tmp_path / "b.sqlite") as store:
        assert run_plan(plan, store, executor="inline").fits == {}
    content = bytearray(artifact_of(plan).read_bytes())
    content[-1] ^= 1
    artifact_of(plan).write_bytes(content)
    with Store(tmp_path / "c.sqlite") as store:
        assert run_plan(plan, store, executor="inline").fits == {"ok": 1}
        assert answers(store) == expected
    assert counted(log)["fit Stateful 0"] == 2


def test_a_failed_fit_is_tried_again_with_retry_only(plan_of, store, log):
    run_plan(plan_of(["fails_in_fit"]), store, executor="inline")
    more = plan_of(["fails_in_fit"], run="grid.repeat = [1, 2]")
    summary = run_plan(more, store, executor="inline")
    assert (summary.computed, summary.statuses) == (1, {"failed": 2})
    assert counted(log) == {"fit FailsInFit": 1}
    assert run_plan(more, store, executor="inline", retry=True).computed == 2
    assert counted(log) == {"fit FailsInFit": 2}


def test_nothing_is_fitted_to_nothing(plan_of, store, log):
    """Not even asked: a method may wait for a first example for ever."""
    run_plan(plan_of(["stateful"], count=0), store, executor="inline")
    (record,) = store.results().values()
    assert record["status"] == "failed"
    assert "data set 'line' has no training examples" in record["error"]["message"]
    assert counted(log) == {}


def test_the_numbers_do_not_depend_on_who_computes_them(plan_of, tmp_path):
    plan = plan_of(["good", "stateful", "wrapper", "careless"], seeds=(0, 1), count=19)
    mine = f"{Path(__file__).stem}:process_pool"
    found = []
    for executor, workers in (("inline", 1), ("local", 1), ("local", 2), (mine, 2)):
        with Store(tmp_path / f"{len(found)}.sqlite") as store:
            summary = run_plan(plan, store, executor=executor, workers=workers)
            assert summary.statuses == {"ok": 8}
            found.append(answers(store))
    assert found[0] == found[1] == found[2] == found[3]


def test_foreign_executors_that_do_not_work_are_told(plan_of, store):
    plan = plan_of(["good"])
    here = Path(__file__).stem
    for name, words in (("nonsense", "module:factory"), (f"{here}:counted", "--executor"), ("no:way", "no")):
        with pytest.raises(UserError, match=words):
            run_plan(plan, store, executor=name)
    with pytest.raises(UserError, match="--executor"):
        run_plan(plan, store, executor=f"{here}:broken_pool")
    assert [run["interrupted"] for run in store.runs().values()] == [True]
    assert run_plan(plan, store, executor="inline").statuses == {"ok": 1}


class StopsAfter(Listener):
    def __init__(self, count):
        self.left = count

    def finished(self, job, record):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


def test_interrupted_runs_keep_what_they_have_and_leave_nothing(plan_of, store, log):
    methods = '["good", {name = "good", sleep = 0.01}, {name = "good", sleep = 60.0}]'
    summary = run_plan(plan_of(methods), store, workers=2, listener=StopsAfter(2))
    assert summary.interrupted
    assert summary.statuses == {"ok": 2}
    assert marked_processes(log) == []
    assert store.latest_run("tiny")["interrupted"] is True
    done = plan_of(methods, select="0.01")
    assert run_plan(done, store, executor="inline").cached == 1


def test_after_an_interrupted_run_the_next_one_in_this_process_is_sound(plan_of, store, log):
    methods = '["good", {name = "good", sleep = 0.01}, {name = "good", sleep = 60.0}]'
    assert run_plan(plan_of(methods), store, workers=2, listener=StopsAfter(2)).interrupted
    assert children()._idle == []
    summary = run_plan(plan_of(["good"], seeds=(1, 2)), store, workers=2)
    assert (summary.interrupted, summary.statuses) == (False, {"ok": 2})
    assert (children()._idle, marked_processes(log)) == ([], [])


@pytest.mark.parametrize("executor", ["local", "inline"])
def test_an_interrupt_that_a_method_raises_is_a_failure_of_its_cell(plan_of, store, executor):
    summary = run_plan(plan_of(["interrupts", "good"]), store, executor=executor)
    assert (summary.statuses, summary.interrupted) == ({"failed": 1, "ok": 1}, False)
    errors = [record["error"] for record in store.results().values() if record["error"]]
    assert [(error["type"], error["message"]) for error in errors] == [("KeyboardInterrupt", "mine")]


def test_ctrl_c_ends_an_inline_run(plan_of, store):
    methods = '["good", {name = "interrupts", pressed = true}, {name = "good", scale = 2.0}]'
    summary = run_plan(plan_of(methods), store, executor="inline")
    assert (summary.statuses, summary.interrupted) == ({"ok": 1}, True)


@pytest.mark.parametrize("name", ["file", "file/folder"])
def test_a_cache_that_cannot_be_written_ends_the_run_before_it_begins(
    plan_of, store, tmp_path, monkeypatch, name
):
    plan = plan_of(["good"])
    (tmp_path / "file").touch()
    monkeypatch.setenv("MFBENCH_CACHE", str(tmp_path / name))
    with pytest.raises(UserError, match=rf"MFBENCH_CACHE: .*{name} cannot be written .*; name a folder"):
        run_plan(plan, store, executor="inline")
    assert store.runs() == {}


def test_two_runs_do_not_share_a_store(plan_of, store):
    with store.lock(), pytest.raises(UserError, match=rf"process {os.getpid()} on .*, since 2"):
        run_plan(plan_of(["good"]), store, executor="inline")
    assert store.runs() == {}


class Hooks:
    def __init__(self):
        self.heard = []

    def mfbench_run_started(self, plan):
        self.heard.append(("started", plan["cells"], plan["cached"], plan["fits"]))

    def mfbench_cell_finished(self, record):
        self.heard.append((record["method"]["name"], record["status"], len(record["values"])))
        raise ZeroDivisionError("a logger that is broken")

    def mfbench_run_finished(self, summary):
        self.heard.append(("finished", dict(summary["statuses"]), summary["interrupted"]))


def test_hooks_are_called_in_order_and_a_broken_one_is_a_warning(plan_of, store):
    hooks = Hooks()
    with pytest.warns(RuntimeWarning, match="mfbench_cell_finished raised ZeroDivisionError"):
        run_plan(plan_of(["good", "raises"]), store, executor="inline", hook=hooks)
    assert hooks.heard == [
        ("started", 2, 0, 0),
        ("good", "ok", 2),
        ("raises", "failed", 0),
        ("finished", {"failed": 1, "ok": 1}, False),
    ]


def test_the_timing_pass_takes_one_seed_of_what_is_ok_and_each_time_once(plan_of, store, log):
    plan = plan_of(["good", "raises"], seeds=(3, 4))
    assert plan.timing_budget == 0
    plan = replace(plan, timing_budget=0.05)
    first = run_plan(plan, store, executor="inline")
    timings = store.timings()
    assert first.timed == len(timings) == 1
    (cell,) = [cell for cell in plan.cells if cell.cache_key == timings[0]["cache_key"]]
    assert (cell.method["name"], cell.seed) == ("good", 3)
    assert timings[0]["device_ms"] > 0
    expected = 0 if timings[0]["valid"] else 1
    assert run_plan(plan, store, executor="inline").timed == expected
    assert run_plan(plan, store, executor="inline", retime=True).timed == 1
    assert len(store.timings()) == 1
    assert counted(log) == {"cell Good 3 1": 1, "cell Good 4 1": 1}
    frame = store.frame("tiny")
    assert frame[(frame.seed == 3) & (frame.status == "ok")].device_ms.notna().all()


def test_a_wrong_device_or_number_of_workers_is_refused(plan_of, store):
    with pytest.raises(UserError, match="--device cuda: the plan was made for cpu"):
        run_plan(plan_of(["good"]), store, device="cuda")
    with pytest.raises(UserError, match="--workers 0"):
        run_plan(plan_of(["good"]), store, workers=0)


def test_a_store_tells_what_was_asked_and_by_whom(plan_of, store):
    plan = plan_of(["good"])
    run_plan(plan, store, executor="inline", argv=["mfbench", "run"])
    (run,) = store.runs().values()
    assert run["argv"] == ["mfbench", "run"]
    assert run["suite_text"] == plan.suite_text
    assert run["provenance"]["packages"]["torch"]
    record = store.record(plan.cells[0].cell_id[:8])
    assert (record["suite"], record["plugin"]) == ("tiny", "bad_plugin.py")
    assert store.protocols()["mean_score", 1]["metrics"][0]["primary"] is True
    assert ("mean_score", "good") in store.medians()


SCRIPT = """
    import sys
    from pathlib import Path
    from mfbench.engine import run_plan
    from mfbench.plan.planning import make_plan
    from mfbench.registry import load_registry
    from mfbench.store import Store
    from mfbench.suite import read_suite

    if __name__ == "__main__":
        suite, plugin, store = sys.argv[1:]
        plan = make_plan(read_suite(suite), load_registry([plugin]))
        with Store(store) as opened:
            summary = run_plan(plan, opened, workers=2)
        sys.exit(130 if summary.interrupted else 0)
"""


@pytest.fixture
def script(tmp_path):
    """Starts the coordinator of a suite of 24 cells and 3 fits as a process group of its own."""
    code, suite = tmp_path / "script.py", tmp_path / "suite.toml"
    code.write_text(textwrap.dedent(SCRIPT))
    suite.write_text(
        """
        [suite]
        name = "tiny"
        seeds = [0, 1, 2]
        timing = false
        [[run]]
        protocol = "mean_score"
        data = "line"
        grid.repeat = [1, 2]
        methods = [
            {name = "good", sleep = 0.1},
            {name = "wrapper", likelihood = {name = "stateful", fit_sleep = 0.3}},
            {name = "stateful", fit_sleep = 0.3}, "raises",
        ]
        """
    )

    def start(store, text=None):
        if text is not None:
            suite.write_text(text)
        return subprocess.Popen(
            [sys.executable, str(code), str(suite), str(PLUGIN), str(store)], start_new_session=True
        )

    return start
