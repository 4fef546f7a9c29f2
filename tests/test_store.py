"""The store: what goes in comes out, in bulk, and what is not a store is refused."""

import json
import math
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mfbench.errors import UserError
from mfbench.store import Store, decode_array, encode_array, opening
from mfbench.store.frame import COLUMNS
from mfbench.store.migrations import SCHEMA_VERSION

RUN = {
    "run_id": "r1",
    "suite": "quick",
    "suite_text": "text",
    "suite_hash": "hash",
    "partial": False,
    "argv": ["mfbench", "run"],
    "provenance": {"python": "3.11"},
    "started": "2025-01-01",
}


def cell(number, **changes):
    return {
        "cell_id": f"cell{number}",
        "cache_key": f"key{number}",
        "protocol": {"kind": "protocol", "name": "ood_auroc", "parameters": {}, "version": 1},
        "method": {"kind": "likelihood", "name": "kde", "parameters": {"bandwidth": 0.1}},
        "data": {"kind": "dataset", "name": "moons", "parameters": {"count": 10}},
        "seed": number,
        "dtype": "float32",
        "threads": 1,
        "device": "cpu",
        "role": "method",
        "label": "kde",
        **changes,
    }


def value(metric, number, part="", n=None, low=None, high=None):
    return {"metric": metric, "part": part, "value": number, "n": n, "ci_low": low, "ci_high": high}


def result(number, **changes):
    return {
        "cell_id": f"cell{number}",
        "cache_key": f"key{number}",
        "status": "ok",
        "error": None,
        "values": [value("auroc", 0.75, n=10, low=0.5, high="inf"), value("bits", "nan", part="x")],
        "scores": {"in": encode_array(np.arange(3.0))},
        "arrays": {"grid": encode_array(np.zeros((2, 2), np.float32))},
        "nfe": 2.5,
        "notes": ["a note"],
        "wall_s": 1.0 + number,
        "fit_s": 0.5,
        "parameter_count": 7,
        "peak_memory_bytes": 1 << 40,
        "plugin": "mine",
        "plugin_version": "1.0",
        "started": "2025-01-01",
        "ended": "2025-01-02",
        **changes,
    }


def timing(number, **changes):
    return {
        "cell_id": f"cell{number}",
        "cache_key": f"key{number}",
        "status": "ok",
        "error": None,
        "device_ms": 2.0,
        "device_ms_iqr": "nan",
        "timing_n": 1,
        "valid": True,
        "machine": "this one",
        "peak_memory_bytes": None,
        "started": "a",
        "ended": "b",
        **changes,
    }


ABOUT = {
    "workload": "scores 1,000 points",
    "metrics": [{"name": "auroc", "unit": "", "better": "higher", "primary": True, "description": ""}],
}


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "deep" / "results.sqlite") as opened:
        yield opened


@pytest.fixture
def filled(store):
    store.begin_run(RUN, [cell(1), cell(2)])
    store.add_protocol("ood_auroc", 1, ABOUT)
    store.add_result("r1", result(1))
    failed = {"type": "ValueError", "message": "no", "traceback": "..."}
    store.add_result("r1", result(2, status="failed", error=failed, values=[], scores={}, arrays={}))
    store.add_timing("r1", timing(1))
    store.end_run("r1", "2025-01-03", False)
    return store


def test_the_frame_has_the_documented_columns_and_one_row_a_value(filled):
    frame = filled.frame()
    assert tuple(frame.columns) == COLUMNS
    assert len(frame) == 3
    auroc = frame[frame.metric == "auroc"].iloc[0]
    assert (auroc.value, auroc.ci_low, auroc.ci_high, auroc.n) == (0.75, 0.5, math.inf, 10)
    assert (auroc.better, auroc.suite, auroc.run_id) == ("higher", "quick", "r1")
    assert (auroc.method, auroc.kind, auroc.data) == ("kde", "likelihood", "moons")
    assert json.loads(auroc.parameters) == {"bandwidth": 0.1}
    assert (auroc.device_ms, auroc.timing_n, auroc.nfe) == (2.0, 1, 2.5)
    assert auroc.peak_memory_bytes == 1 << 40
    assert frame[frame.metric == "bits"].value.isna().all()
    (failed,) = frame[frame.status == "failed"].itertuples()
    assert (failed.metric, failed.error, failed.seed) == ("", "ValueError: no", 2)


def test_an_empty_store_has_an_empty_frame(store):
    assert tuple(store.frame().columns) == COLUMNS
    assert len(store.frame("quick")) == 0


def test_records_are_strict_json_and_complete(filled):
    record = filled.results(["cell1"])["cell1"]
    expected = {key: one for key, one in result(1).items() if key not in ("scores", "arrays")}
    assert {key: record[key] for key in expected} == expected
    assert {key: record[key] for key in cell(1)} == cell(1)
    json.dumps(record, allow_nan=False)


def test_arrays_come_back_as_they_were(filled):
    scores = filled.scores(["key1", "key2", "nothing"])
    assert list(scores) == ["key1"]
    assert scores["key1"]["in"].tolist() == [0.0, 1.0, 2.0]
    grid = filled.arrays(["key1"])["key1"]["grid"]
    assert (grid.shape, grid.dtype) == ((2, 2), np.float32)


def test_statuses_and_known_cells(filled):
    assert filled.statuses() == {"key1": "ok", "key2": "failed"}
    assert filled.statuses(["key2", "key9"]) == {"key2": "failed"}
    assert filled.known_cells(["cell1", "cell9"]) == {"cell1"}


def test_a_result_of_the_same_key_replaces_the_former_whole(filled):
    filled.add_result("r1", result(1, values=[value("auroc", 0.5)], scores={}))
    assert [one["value"] for one in filled.results()["cell1"]["values"]] == [0.5]
    assert filled.scores(["key1"]) == {}


def test_the_newest_result_of_a_cell_is_its_current_one(filled):
    filled.add_result("r1", result(1, cache_key="newer", ended="2025-02-01"))
    assert filled.results()["cell1"]["cache_key"] == "newer"
    assert filled.results(cache_keys=["key1"])["cell1"]["cache_key"] == "key1"
    assert set(filled.frame("quick").cache_key) == {"key1", "key2"}


def test_a_full_run_replaces_what_a_suite_shows_and_a_partial_one_adds(filled):
    assert filled.suite_cells("quick") == {"cell1": "key1", "cell2": "key2"}
    filled.begin_run({**RUN, "run_id": "r2", "partial": True}, [cell(2, cache_key="other"), cell(3)])
    assert filled.suite_cells("quick") == {"cell1": "key1", "cell2": "other", "cell3": "key3"}
    filled.begin_run({**RUN, "run_id": "r3"}, [cell(3)])
    assert filled.suite_cells("quick") == {"cell3": "key3"}
    assert filled.suite_names() == ["quick"]
    assert filled.specs(["cell1"])["cell1"]["seed"] == 1


def test_a_record_is_found_by_a_prefix(filled):
    record = filled.record("cell1")
    assert (record["suite"], record["timings"][0]["device_ms"]) == ("quick", 2.0)
    for prefix, words in (
        ("cell", "ambiguous"),
        ("nothing", "has no result"),
        ("c", "at least 4"),
        ("%%%%", "no result"),
    ):
        with pytest.raises(UserError, match=words):
            filled.record(prefix)


def test_timings_are_kept_per_machine(filled):
    filled.add_timing("r1", timing(1, machine="another", device_ms=3.0))
    filled.add_timing("r1", timing(1, device_ms=4.0, valid=False))
    found = {one["machine"]: (one["device_ms"], one["valid"]) for one in filled.timings(["cell1"])}
    assert found == {"this one": (4.0, False), "another": (3.0, True)}
    assert filled.timings(cache_keys=["key2"]) == []


def test_medians_of_past_work(filled):
    spec = {"choice": {"kind": "generator", "name": "ddpm"}}
    for key, seconds in (("a", 2.0), ("b", 4.0)):
        record = {"fit_key": key, "status": "ok", "wall_s": seconds, "started": "", "ended": ""}
        filled.add_fit("r1", record, spec)
    filled.add_result("r1", result(3))
    filled.begin_run({**RUN, "run_id": "r2"}, [cell(3)])
    assert filled.medians() == {("ood_auroc", "kde"): 3.0, ("fit", "generator/ddpm"): 3.0}
    assert filled.fits(["a"])["a"]["spec"] == spec


def test_records_of_another_store_are_taken_over(filled, tmp_path):
    blobs = {
        role: {name: encode_array(array) for name, array in found["key1"].items()}
        for role, found in (("scores", filled.scores(["key1"])), ("arrays", filled.arrays(["key1"])))
    }
    records = [
        {**record, **(blobs if record["status"] == "ok" else {}), "timings": filled.timings([cell_id])}
        for cell_id, record in filled.results().items()
    ]
    with Store(tmp_path / "other.sqlite") as other:
        given = {
            "runs": filled.runs().values(),
            "suite_cells": {"quick": filled.suite_cells("quick")},
            "protocols": filled.protocols(),
        }
        assert other.insert_records(records, **given) == 2
        assert other.frame("quick").equals(filled.frame("quick"))
        assert other.scores(["key1"])["key1"]["in"].tolist() == [0.0, 1.0, 2.0]
        assert other.insert_records(records, **given) == 0
        better = {**records[1], "status": "ok", "error": None}
        assert other.insert_records([better]) == 1
        assert other.insert_records([records[1]]) == 0
        assert other.statuses() == {"key1": "ok", "key2": "ok"}


def test_an_import_is_taken_over_whole_or_not_at_all(filled, tmp_path):
    good = filled.results()["cell1"]
    with Store(tmp_path / "other.sqlite") as other:
        with pytest.raises(KeyError):
            other.insert_records([good, {"cache_key": "x"}])
        assert other.statuses() == {}


def test_what_is_no_store_is_refused_and_left_alone(tmp_path):
    text = tmp_path / "notes.txt"
    text.write_text("not a database, but a long text that somebody needs")
    with pytest.raises(UserError, match="not an SQLite file"):
        Store(text)
    assert text.read_text().startswith("not a database")
    foreign = tmp_path / "foreign.sqlite"
    with sqlite3.connect(foreign) as connection:
        connection.execute("CREATE TABLE mine (x)")
    before = foreign.read_bytes()
    with pytest.raises(UserError, match="not a store of mfbench"):
        Store(foreign)
    assert foreign.read_bytes() == before
    with pytest.raises(UserError, match="is a folder"):
        Store(tmp_path)
    with pytest.raises(UserError, match="there is no store"):
        Store(tmp_path / "absent.sqlite", create=False)
    assert not (tmp_path / "absent.sqlite").exists()


def test_a_damaged_store_is_an_error_of_one_line(tmp_path):
    path = tmp_path / "damaged.sqlite"
    path.write_bytes(b"SQLite format 3\0" + b"\xff" * 4096)
    with pytest.raises(UserError, match="cannot be used") as caught:
        Store(path)
    assert "\n" not in str(caught.value)


def test_a_damaged_page_met_by_a_question_is_an_error_of_one_line(tmp_path):
    path = tmp_path / "damaged.sqlite"
    with Store(path) as store:
        store.begin_run(RUN, [cell(number) for number in range(50)])
        for number in range(50):
            store.add_result("r1", result(number))
    page = 4096
    content = bytearray(path.read_bytes())
    content[page:] = b"\xff" * (len(content) - page)  # the first page holds the schema: it can be opened
    path.write_bytes(content)
    malformed = r"damaged.sqlite: the store cannot be used \(.*malformed"
    with pytest.raises(UserError, match=malformed) as caught, Store(path) as store:
        store.results()
    assert "\n" not in str(caught.value)


def test_a_full_disk_is_an_error_of_one_line_and_keeps_what_was_committed(tmp_path):
    path = tmp_path / "full.sqlite"
    with Store(path) as store:
        store.begin_run(RUN, [cell(1), cell(2)])
        store.add_result("r1", result(1))
    large = encode_array(np.random.default_rng(0).random(1 << 16))
    told = r"full.sqlite: .*disk is full.*make room"
    store = Store(path)
    store.connection.execute("PRAGMA max_page_count = 1")  # no less than what it has
    with pytest.raises(UserError, match=told) as caught, store:
        store.add_result("r1", {**result(2), "arrays": {"large": large}})
    assert "\n" not in str(caught.value)
    with Store(path) as store:
        assert list(store.statuses().values()) == ["ok"]


def test_a_disk_that_is_full_when_a_store_is_made_is_told(tmp_path, monkeypatch):
    class Full(sqlite3.Connection):
        def execute(self, statement, *rest):
            if statement.startswith("CREATE TABLE cells"):
                super().execute("PRAGMA max_page_count = 1")
                super().execute("ROLLBACK")  # as SQLite does by itself
                super().execute("PRAGMA journal_mode = OFF")
                return super().execute("CREATE TABLE large AS SELECT zeroblob(100000)")
            return super().execute(statement, *rest)

    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *a, **options: connect(*a, **options, factory=Full))
    with pytest.raises(UserError, match="disk is full"):
        Store(tmp_path / "new.sqlite")


def test_a_mistake_in_a_statement_is_no_users_error(tmp_path):
    with pytest.raises(sqlite3.OperationalError), Store(tmp_path / "results.sqlite") as store:
        store.connection.execute("SELECT nothing FROM nowhere")


def test_a_folder_in_the_place_of_the_lock_is_told(tmp_path):
    (tmp_path / "results.sqlite.lock").mkdir()
    told = r"results.sqlite.lock: .*directory"
    with Store(tmp_path / "results.sqlite") as store, pytest.raises(UserError, match=told), store.lock():
        pass


def test_a_store_of_a_newer_mfbench_is_refused(tmp_path):
    path = tmp_path / "newer.sqlite"
    Store(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    with pytest.raises(UserError, match="newer mfbench"):
        Store(path)


def test_an_empty_file_becomes_a_store(tmp_path):
    path = tmp_path / "results.sqlite"
    path.touch()
    with Store(path) as store:
        assert store.statuses() == {}
        assert store.connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


def test_migrations_are_applied_to_an_old_store_all_or_none(tmp_path, monkeypatch):
    path = tmp_path / "results.sqlite"
    with Store(path) as store:
        store.begin_run(RUN, [cell(1)])
    broken = (*opening.MIGRATIONS, ("CREATE TABLE later (x)", "CREATE TABLE later (x)"))
    monkeypatch.setattr(opening, "MIGRATIONS", broken)
    monkeypatch.setattr(opening, "SCHEMA_VERSION", len(broken))
    with pytest.raises(UserError, match="later already exists"):
        Store(path)
    monkeypatch.setattr(opening, "MIGRATIONS", (*broken[:-1], ("CREATE TABLE later (x)",)))
    with Store(path) as store:
        assert store.connection.execute("SELECT count(*) FROM later").fetchone()[0] == 0
        assert list(store.runs()) == ["r1"]


def test_what_add_result_was_given_survives_kill_9(tmp_path):
    script = f"""
import os, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_store import *
store = Store({str(tmp_path / "r.sqlite")!r})
store.begin_run(RUN, [cell(1)])
store.add_result("r1", result(1))
os.kill(os.getpid(), 9)
"""
    assert subprocess.run([sys.executable, "-c", script]).returncode == -9
    with Store(tmp_path / "r.sqlite", create=False) as store:
        assert store.results()["cell1"]["values"][0]["value"] == 0.75


def test_the_lock_says_who_holds_it_and_goes_with_its_process(tmp_path):
    path = tmp_path / "r.sqlite"
    script = f"""
import sys, time
from mfbench.store import Store
with Store({str(path)!r}).lock():
    print("held", flush=True)
    time.sleep(60)
"""
    holder = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    try:
        assert holder.stdout.readline() == b"held\n"
        with Store(path) as store:
            with pytest.raises(UserError, match=f"process {holder.pid} on "), store.lock():
                pass
            holder.kill()
            holder.wait()
            with store.lock(), pytest.raises(UserError), store.lock():
                pass
    finally:
        holder.kill()
        holder.stdout.close()


def test_a_forked_process_does_not_keep_its_parents_lock(tmp_path):
    path = tmp_path / "r.sqlite"
    script = f"""
import os, time
from mfbench.store import Store
with Store({str(path)!r}).lock():
    if os.fork() == 0:
        print("forked", flush=True)
    time.sleep(60)
"""
    holder = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, start_new_session=True)
    try:
        assert holder.stdout.readline() == b"forked\n"
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
        with Store(path) as store, store.lock():
            pass
    finally:
        os.killpg(holder.pid, signal.SIGKILL)
        holder.stdout.close()


@pytest.mark.parametrize("dtype", ["float32", ">f8", "int64", "bool", "float16", "uint8"])
def test_arrays_travel_unharmed(dtype):
    array = np.arange(6).reshape(2, 3).astype(dtype)
    blob = json.loads(json.dumps(encode_array(array)))
    assert np.array_equal(decode_array(blob), array)
    assert np.array_equal(decode_array(encode_array(np.zeros((0, 2)))), np.zeros((0, 2)))


def test_arrays_that_cannot_travel():
    with pytest.raises(TypeError, match="object"):
        encode_array(np.array([{}]))
    blob = encode_array(np.zeros(3))
    with pytest.raises(ValueError, match="do not make an array"):
        decode_array({**blob, "shape": [4]})
    with pytest.raises(ValueError, match="not expected"):
        decode_array({**blob, "dtype": "O"})


def test_questions_about_many_cells_are_fast(store):
    count = 5_000
    store.begin_run(RUN, [cell(number) for number in range(count)])
    with store._write():
        for number in range(count):
            store._add_result("r1", result(number))
    keys = [f"key{number}" for number in range(count)]
    started = time.perf_counter()
    assert len(store.statuses(keys)) == len(store.scores(keys)) == count
    assert len(store.frame("quick")) == 2 * count
    assert time.perf_counter() - started < 10
