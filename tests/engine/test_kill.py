"""kill -9 of everything, at any moment: what was committed is kept, and nothing is left behind."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from engine_fakes import answers, marked_processes
from test_coordinator import counted, script

from mfbench.store import Store

__all__ = ["script"]


HANGS = """
    [suite]
    name = "tiny"
    seeds = [0]
    [[run]]
    protocol = "mean_score"
    data = "line"
    methods = ["hangs"]
"""


def is_sleep(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"sleep")
    except OSError:
        return False


def run_to_the_end(script, store):
    process = script(store)
    assert process.wait(timeout=120) == 0


def kill_after(process, log, lines, delay):
    """SIGKILL to the group, `delay` seconds after the log grew by `lines`; whether it came in time."""
    goal = len(log.read_text().splitlines()) + lines
    while process.poll() is None and len(log.read_text().splitlines()) < goal:
        time.sleep(0.002)
    time.sleep(delay)
    alive = process.poll() is None
    if alive:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return alive


def assert_nobody_is_left(log):
    end = time.monotonic() + 5
    while (left := marked_processes(log)) and time.monotonic() < end:
        time.sleep(0.02)
    assert left == []


def killed_again_and_again(script, log, tmp_path, monkeypatch, kills):
    rng = random.Random(kills)
    done = 0
    for _ in range(kills):
        done += kill_after(script(tmp_path / "killed.sqlite"), log, rng.randrange(5), rng.random() * 0.3)
        assert_nobody_is_left(log)
    run_to_the_end(script, tmp_path / "killed.sqlite")
    computed = counted(log)
    assert sum(computed.values()) - len(computed) <= 2 * done  # two workers: what was in flight
    with Store(tmp_path / "killed.sqlite") as store:
        found = answers(store)
    monkeypatch.setenv("MFBENCH_CACHE", str(tmp_path / "other"))
    run_to_the_end(script, tmp_path / "undisturbed.sqlite")
    with Store(tmp_path / "undisturbed.sqlite") as store:
        assert answers(store) == found
    assert len(found) == 24
    assert_nobody_is_left(log)


def test_kill_twice(script, log, tmp_path, monkeypatch):
    killed_again_and_again(script, log, tmp_path, monkeypatch, kills=2)


@pytest.mark.slow
def test_kill_ten_times(script, log, tmp_path, monkeypatch):
    killed_again_and_again(script, log, tmp_path, monkeypatch, kills=10)


def test_what_a_method_started_ends_with_a_coordinator_that_was_killed_alone(script, log, tmp_path):
    process = script(tmp_path / "store.sqlite", HANGS)
    while process.poll() is None and not any(is_sleep(pid) for pid in marked_processes(log)):
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert_nobody_is_left(log)


def test_what_left_the_process_group_ends_with_a_coordinator_that_was_killed(script, log, tmp_path):
    process = script(tmp_path / "store.sqlite", HANGS.replace("hangs", "starts_sessions_and_hangs"))
    while process.poll() is None and sum(map(is_sleep, marked_processes(log))) < 2:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert_nobody_is_left(log)


def test_interrupt_by_a_signal_ends_with_130_and_keeps_results(script, log, tmp_path):
    process = script(tmp_path / "store.sqlite")
    while process.poll() is None and len(log.read_text().splitlines()) < 4:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == 130
    assert_nobody_is_left(log)
    with Store(tmp_path / "store.sqlite") as store:
        assert store.latest_run("tiny")["interrupted"] is True
        assert 0 < len(store.statuses()) < 24


def test_a_child_without_a_supervisor_ends_with_all_it_started(log):
    hello = subprocess.run([sys.executable, "-m", "mfbench.engine.child"], stdin=subprocess.DEVNULL)
    assert hello.returncode == 0
    assert_nobody_is_left(log)
