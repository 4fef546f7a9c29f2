"""`run_cell` and what stands behind it: every way in which a method can end badly costs its own cell only."""

import json
import os
import time

import pytest
from engine_fakes import PLUGIN, marked_processes

from mfbench.engine.children import Children, children, run_cell
from mfbench.engine.limits import held_memory, resident_size
from mfbench.engine.supervisor import ChildKind
from mfbench.plan.choices import choice_key

LIMIT = 900 << 20


def choice(kind, name, **parameters):
    return {"kind": kind, "name": name, "parameters": parameters}


def good(**parameters):
    return choice("likelihood", "good", **({"scale": 1.0, "sleep": 0.0} | parameters))


def task(cache, method, kind="cell", **changes):
    protocol = choice("protocol", "mean_score", repeat=1, likelihood=None)
    common = {
        "data": choice("dataset", "line", count=16),
        "seed": 0,
        "dtype": "float32",
        "threads": 1,
        "needs": {},
    }
    cell = {"cell_id": "c", "cache_key": "k", "protocol": {**protocol, "version": 1}, "method": method}
    fit = {"key": "f" * 64, "choice": method}
    return {
        "type": kind,
        "job": {**common, **(fit if kind == "fit" else cell), **changes.pop("job", {})},
        "plugins": [str(PLUGIN)],
        "domain": [str(PLUGIN)],
        "cache": str(cache),
        "device": "cpu",
        "time_limit": 60.0,
        "memory_limit": None,
        "timing_budget": 0.05,
        **changes,
    }


@pytest.fixture
def do(cache):
    children().start()  # a run that ended before in this process has stopped them

    def run(method, **changes):
        return json.loads(run_cell(json.dumps(task(cache, method, **changes))))

    return run


def child_pids():
    return [one.pid for one in children()._idle]


def test_a_good_cell(do):
    record = do(good())
    assert (record["status"], record["error"]) == ("ok", None)
    values = {(value["metric"], value["part"]): value for value in record["values"]}
    assert -1 < values["mean", ""]["value"] < 0
    assert values["mean", ""]["n"] == 16
    assert values["mean", ""]["ci_high"] == "inf"
    assert values["extra", "a"]["value"] == "nan"
    assert record["scores"]["x"]["shape"] == [16]
    assert record["arrays"]["x"]["dtype"] == "<f4"
    assert record["plugin"] == "bad_plugin.py"
    assert record["plugin_version"].startswith("sha256:")
    assert record["notes"] == ["a note"]
    assert record["started"] < record["ended"]
    assert record["wall_s"] >= record["fit_s"] > 0
    assert record["peak_memory_bytes"] > 50 << 20


def test_the_child_is_kept_and_gives_the_same_again(do):
    first = do(good())
    (pid,) = child_pids()
    second = do(good())
    assert child_pids() == [pid]
    assert first["scores"] == second["scores"]


@pytest.mark.parametrize(
    ("name", "status", "kind", "message"),
    [
        ("raises", "failed", "ValueError", "no such thing"),
        ("unsupported", "unsupported", "Unsupported", "points on a line have no score"),
        ("exits", "failed", "SystemExit", "3"),
        ("nan", "failed", "ContractError", "metric 'mean' is NaN"),
        ("wrong_shape", "failed", "ContractError", "score has shape (16, 2), not (16,)"),
    ],
)
def test_an_exception_is_a_result_and_spares_the_child(do, name, status, kind, message):
    do(good())
    before = child_pids()
    record = do(choice("likelihood", name))
    assert (record["status"], record["error"]["type"]) == (status, kind)
    assert message in record["error"]["message"]
    assert record["plugin"] == "bad_plugin.py"
    assert child_pids() == before


def test_the_traceback_begins_in_the_plugin(do):
    text = do(choice("likelihood", "raises"))["error"]["traceback"]
    assert text.startswith("Traceback (most recent call last)")
    assert text.endswith("ValueError: no such thing")
    assert "bad_plugin.py" in text
    assert "mfbench/engine" not in text


def test_what_is_said_to_people_has_no_traceback(do):
    assert do(choice("likelihood", "unsupported"))["error"]["traceback"] == ""


def test_unknown_names_are_failures_that_say_so(do):
    record = do(choice("likelihood", "goood"))
    assert record["status"] == "failed"
    assert "good" in record["error"]["message"]


def test_fit_sees_no_test_split(do):
    record = do(choice("likelihood", "peeks", scale=1.0, sleep=0.0))
    assert (record["status"], record["error"]["type"]) == ("failed", "PermissionError")


def test_exit_code_and_last_words_of_a_process_that_ended_itself(do):
    record = do(choice("likelihood", "hard_exits"))
    assert record["status"] == "crashed"
    assert "exit code 3" in record["error"]["message"]
    assert record["error"]["traceback"] == "last words"
    assert record["plugin"] == "bad_plugin.py"
    assert do(good())["status"] == "ok"


def test_a_segmentation_fault_names_its_signal_and_its_line(do):
    record = do(choice("likelihood", "segfaults"))
    assert record["status"] == "crashed"
    assert "SIGSEGV" in record["error"]["message"]
    assert "bad_plugin.py" in record["error"]["traceback"]
    assert "mfbench/engine" not in record["error"]["traceback"]


@pytest.mark.parametrize("name", ["hangs", "holds_the_interpreter"])
def test_time_limit_holds_inside_any_call_and_ends_all_it_started(do, name, log):
    started = time.monotonic()
    record = do(choice("likelihood", name), time_limit=0.5)
    assert record["status"] == "timeout"
    assert "0.5 s (time_limit)" in record["error"]["message"]
    assert "in score" in record["error"]["traceback"]
    assert time.monotonic() - started < 30
    assert marked_processes(log) == []


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_memory_limit(do, library):
    record = do(choice("likelihood", "memory_bomb", library=library), memory_limit=LIMIT)
    assert record["status"] == "oom"
    assert record["error"]["message"]
    assert do(good(), memory_limit=LIMIT)["status"] == "ok"


def test_what_left_the_process_group_ends_with_the_child(do, log):
    assert do(choice("likelihood", "starts_sessions", scale=1.0, sleep=0.0))["status"] == "ok"
    children().close_idle()
    assert marked_processes(log) == []
    hangs = choice("likelihood", "starts_sessions_and_hangs", scale=1.0, sleep=0.0)
    assert do(hangs, time_limit=1.0)["status"] == "timeout"
    assert marked_processes(log) == []


def test_the_memory_of_what_a_method_started_counts(do, log):
    record = do(choice("likelihood", "starts_memory_bombs"), memory_limit=LIMIT)
    assert (record["status"], record["error"]["type"]) == ("oom", "MemoryLimit")
    assert marked_processes(log) == []


def _forked_sleeper():
    pid = os.fork()
    if pid == 0:
        time.sleep(30)
        os._exit(0)
    return pid


def test_memory_that_processes_share_counts_once():
    held = bytearray(os.urandom(1 << 20) * 128)
    pids = [_forked_sleeper() for _ in range(3)]
    own = resident_size()
    try:
        assert held_memory(os.getpid(), 10 * own) > 3 * len(held)  # far below the limit: the plain sum
        assert held_memory(os.getpid(), own) < own + len(held)
    finally:
        for pid in pids:
            os.kill(pid, 9)
            os.waitpid(pid, 0)


def test_heavy_printing_is_read_fast_and_only_its_end_is_kept(do):
    noisy = choice("likelihood", "prints_without_end", scale=1.0, sleep=0.0)
    before = do(good())
    record = do(noisy, time_limit=20.0)
    assert record["status"] == "ok"
    assert record["wall_s"] < before["wall_s"] + 10
    (idle,) = children()._idle
    assert len(idle._stderr) <= 64 << 10
    ended = do(choice("likelihood", "prints_without_end", scale=0.0, sleep=0.0), time_limit=20.0)
    assert ended["status"] == "crashed"
    assert ended["error"]["traceback"].endswith("\ndone")
    assert len(ended["error"]["traceback"]) <= 64 << 10


def test_what_a_cell_changed_is_put_back_for_the_next(do):
    before = do(good())
    (pid,) = child_pids()
    assert do(choice("likelihood", "careless", scale=1.0, sleep=0.0))["status"] == "ok"
    after = do(good())
    assert child_pids() == [pid]
    assert (after["values"], after["scores"]) == (before["values"], before["scores"])


@pytest.mark.parametrize("way", ["data", "numpy"])
def test_data_that_a_cell_wrote_to_behind_the_back_are_the_same_for_the_next(do, way):
    before = do(good())
    (pid,) = child_pids()
    spoiled = do(choice("likelihood", "writes_behind_the_back", way=way))
    assert spoiled["status"] == "ok"
    after = do(good())
    assert child_pids() == [pid]
    keys = ("values", "scores", "arrays")
    assert [after[key] for key in keys] == [before[key] for key in keys]


def test_a_closed_standard_error_is_open_again_for_the_next(do):
    assert do(choice("likelihood", "closes_standard_error", scale=1.0, sleep=0.0))["status"] == "ok"
    (pid,) = child_pids()
    assert do(good())["status"] == "ok"
    assert child_pids() == [pid]
    assert do(choice("likelihood", "hard_exits"))["error"]["traceback"] == "last words"


def test_float64_is_the_cells_default(do):
    single, double = do(good()), do(good(), job={"dtype": "float64"})
    assert double["arrays"]["x"]["dtype"] == "<f8"
    assert single["values"] != double["values"]


def test_a_fit_is_saved_and_loaded_by_the_cells_that_need_it(do, cache):
    method = choice("likelihood", "stateful", scale=1.0, sleep=0.0, fit_sleep=0.0)
    fitted = do(method, kind="fit")
    assert (fitted["status"], fitted["fit_key"], fitted["parameter_count"]) == ("ok", "f" * 64, 2)
    needs = {choice_key(method): "f" * 64}
    record = do(method, job={"needs": needs})
    assert (record["status"], record["parameter_count"]) == ("ok", 2)
    wrapped = do(choice("likelihood", "wrapper", likelihood=method), job={"needs": needs})
    assert wrapped["parameter_count"] == 2
    assert wrapped["values"][0]["value"] == pytest.approx(2 * record["values"][0]["value"])


def test_a_needed_artifact_that_is_absent_is_a_failure(do):
    method = choice("likelihood", "stateful", scale=1.0, sleep=0.0, fit_sleep=0.0)
    record = do(method, job={"needs": {choice_key(method): "0" * 64}})
    assert (record["status"], record["error"]["type"]) == ("failed", "CorruptArtifactError")


def test_progress_of_a_fit_is_relayed(do):
    heard = []
    children().progress = lambda task, done, total: heard.append((task["job"]["key"], done, total))
    try:
        do(choice("likelihood", "stateful", scale=1.0, sleep=0.0, fit_sleep=0.6), kind="fit")
    finally:
        children().progress = lambda task, done, total: None
    assert heard == [("f" * 64, step, 3) for step in (1, 2, 3)]


def test_a_timing(do):
    record = do(good(), kind="timing")
    assert (record["status"], record["error"]) == ("ok", None)
    assert 0 < record["device_ms"] < 1000
    assert record["timing_n"] >= 3
    assert record["machine"]


def test_a_child_that_died_while_it_was_idle_is_replaced(do):
    do(good())
    (pid,) = child_pids()
    os.kill(pid, 9)
    assert do(good())["status"] == "ok"
    assert child_pids() != [pid]


def test_children_of_another_kind_take_the_place_of_idle_ones(do):
    do(good())
    (pid,) = child_pids()
    assert do(good(), job={"threads": 2})["status"] == "ok"
    assert len(child_pids()) == 1
    assert child_pids() != [pid]


def test_a_child_that_ran_one_plugins_code_is_not_given_anothers_cells(do):
    do(good())
    (pid,) = child_pids()
    do(good(), domain=["another"])
    assert len(child_pids()) == 1
    assert child_pids() != [pid]


def test_a_payload_that_makes_no_sense_is_a_crash_with_a_reason():
    record = json.loads(run_cell(json.dumps({"type": "cell", "job": {"cell_id": "c", "cache_key": "k"}})))
    assert record["status"] == "crashed"
    assert "KeyError" in record["error"]["type"]


def test_after_a_stop_tasks_are_refused_until_the_next_start(cache):
    some = Children()
    some.stop()
    with pytest.raises(RuntimeError, match="stopped"):
        some.run(task(cache, good()), "")
    some.start()
    assert some._take(ChildKind((), (), "cpu", 1)).pid is None
