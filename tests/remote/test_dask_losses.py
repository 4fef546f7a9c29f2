"""Workers, schedulers and coordinators that are killed: nothing is lost, and nothing counted twice."""

import os
import shutil
import signal
import subprocess
import sys
import textwrap
from collections import Counter

import pytest
from fleet import PATIENCE_S, PLUGIN, answers, end, plan_of, suite_of, wait_until

from mfbench.engine import Listener, run_plan
from mfbench.errors import UserError
from mfbench.plan.planning import make_plan
from mfbench.registry import load_registry
from mfbench.remote.batches import MOST_TOGETHER
from mfbench.store import Store
from mfbench.suite import parse_suite
from mfbench.wording import Where

pytestmark = pytest.mark.slow

MANY = [f'{{name = "good", scale = {scale}.0, sleep = 0.3}}' for scale in range(1, 13)]


def counted(log):
    return Counter(log.read_text().splitlines())


class KillsAfter(Listener):
    """Ends a process when so many cells are done."""

    def __init__(self, process, count):
        self.process, self.left = process, count

    def finished(self, job, record):
        self.left -= 1
        if self.left == 0:
            end(self.process)


def test_the_cells_of_a_killed_worker_are_done_elsewhere(fleet, log, store, tmp_path):
    first = fleet.start_worker()
    fleet.start_worker()
    fleet.settle()
    plan = plan_of(suite_of([*MANY, "fitted"], fleet.address), tmp_path)
    summary = run_plan(plan, store, executor="dask", listener=KillsAfter(first, 4))
    assert summary.statuses == {"ok": 13}
    assert len(store.results()) == 13
    computed = counted(log)
    assert len(computed) == 13
    assert sum(computed.values()) <= 13 + MOST_TOGETHER  # what the dead worker had was begun twice
    with Store(tmp_path / "local.sqlite") as other:
        run_plan(plan, other, executor="inline")
        assert answers(store) == answers(other)


@pytest.mark.parametrize(("retries", "status"), [(0, "crashed"), (1, "crashed"), (2, "ok")])
def test_a_cell_whose_workers_die_is_begun_again_as_often_as_the_suite_allows(
    fleet, log, store, tmp_path, retries, status
):
    for _ in range(3):
        fleet.start_worker()
    fleet.settle()
    methods = ['{name = "kills_its_worker", times = 2}', "good"]
    text = suite_of(methods, fleet.address, settings=f"retries = {retries}")
    summary = run_plan(plan_of(text, tmp_path), store, executor="dask")
    assert summary.statuses == dict(Counter([status, "ok"]))
    assert counted(log)["killing"] == retries + 1
    errors = [record["error"] for record in store.results().values() if record["error"]]
    assert [error["type"] for error in errors] == (["WorkerLost"] if status == "crashed" else [])
    assert all("went while this was computed, the last was tcp://" in error["message"] for error in errors)


def test_no_worker_left_ends_the_run_and_the_next_one_goes_on(fleet, log, store, tmp_path):
    only = fleet.start_worker()
    fleet.settle()
    text = suite_of(MANY, fleet.address).replace("wait = 60", "wait = 1")
    plan = plan_of(text, tmp_path)
    words = f"no worker has been left at {fleet.address} for 1 s; results so far are kept"
    with pytest.raises(UserError, match=words):
        run_plan(plan, store, executor="dask", listener=KillsAfter(only, 3))
    assert store.latest_run("tiny")["interrupted"] is True
    kept = len(store.results())
    assert 3 <= kept < 12
    fleet.workers.clear()
    fleet.start_worker()
    fleet.settle()
    summary = run_plan(plan, store, executor="dask")
    assert (summary.cached, summary.statuses) == (kept, {"ok": 12})


def test_a_killed_scheduler_is_told_and_the_next_run_goes_on(fleet, log, store, tmp_path):
    fleet.start_worker()
    fleet.start_worker()
    plan = plan_of(suite_of(MANY, fleet.address), tmp_path)
    words = f"the scheduler at {fleet.address} is gone; .*; results so far are kept"
    with pytest.raises(UserError, match=words):
        run_plan(plan, store, executor="dask", listener=KillsAfter(fleet.scheduler, 3))
    kept = len(store.results())
    assert 3 <= kept < 12
    for worker in fleet.workers:
        end(worker)
    address = fleet.start_scheduler()
    fleet.start_worker()
    summary = run_plan(plan_of(suite_of(MANY, address), tmp_path), store, executor="dask")
    assert (summary.cached, summary.statuses) == (kept, {"ok": 12})


COORDINATOR = """
    import sys
    from mfbench.cli import main

    if __name__ == "__main__":
        sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def coordinator(tmp_path):
    """Starts `mfbench run` of a suite as a process of its own."""
    pytest.importorskip("distributed", reason="Dask is not installed: pip install 'mfbench[dask]'")
    script = tmp_path / "coordinator.py"
    script.write_text(textwrap.dedent(COORDINATOR))

    def start(text, store, *words):
        (tmp_path / "tiny.toml").write_text(text)
        path = os.pathsep.join(entry for entry in sys.path if entry)
        command = ["run", str(tmp_path / "tiny.toml"), "--plugin", str(PLUGIN), "--store", str(store), *words]
        return subprocess.Popen(
            [sys.executable, str(script), *command, "--executor", "dask"],
            env={**os.environ, "PYTHONPATH": path},
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    return start


def test_kill_9_of_the_coordinator_again_and_again(fleet, log, coordinator, tmp_path):
    fleet.start_worker()
    fleet.start_worker()
    text = suite_of([*MANY, "fitted"], fleet.address, seeds=(0, 1))
    path, kills = tmp_path / "killed.sqlite", 3
    for _ in range(kills):
        goal = sum(counted(log).values()) + 4
        process = coordinator(text, path)
        wait_until(lambda p=process, n=goal: p.poll() is not None or sum(counted(log).values()) >= n, "work")
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    process = coordinator(text, path)
    assert process.wait() == 0, process.stderr.read()
    process.communicate()
    computed = counted(log)
    assert len(computed) == 24 // 2 + 2  # a line says the scale, and not the seed; and two fits
    assert sum(computed.values()) <= 24 + 2 + 2 * kills  # two workers: what was in flight
    with Store(path) as store:
        found = answers(store)
    assert len(found) == 26
    with Store(tmp_path / "undisturbed.sqlite") as store:
        run_plan(plan_of(text, tmp_path), store, executor="inline")
        assert answers(store) == found


def test_the_child_of_a_task_ends_when_its_coordinator_is_killed(fleet, log, coordinator, tmp_path):
    fleet.start_worker()
    text = suite_of(['{name = "good", sleep = 1000.0}'], fleet.address)
    process = coordinator(text, tmp_path / "killed.sqlite")
    wait_until(lambda: counted(log), "work")
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    (tmp_path / "tiny.toml").unlink()
    process = coordinator(suite_of(["good"], fleet.address), tmp_path / "next.sqlite")
    assert process.wait(PATIENCE_S) == 0  # far less than what the first one had still to sleep
    process.communicate()


def test_ctrl_c_keeps_what_is_done_and_frees_the_workers(fleet, log, coordinator, tmp_path):
    fleet.start_worker()
    text = suite_of([*MANY[:3], '{name = "good", sleep = 1000.0}'], fleet.address)
    process = coordinator(text, tmp_path / "stopped.sqlite")
    wait_until(lambda: sum(counted(log).values()) == 4, "work")
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(PATIENCE_S) == 130, process.stderr.read()
    process.communicate()
    with Store(tmp_path / "stopped.sqlite") as store:
        assert set(store.statuses().values()) == {"ok"}
        assert len(store.statuses()) == 3


def test_a_cluster_on_this_machine(log, coordinator, tmp_path):
    text = suite_of([*MANY[:3], "fitted", "exits"])
    process = coordinator(text, tmp_path / "local.sqlite", "--workers", "2")
    said = process.communicate(timeout=PATIENCE_S)[1]
    assert process.returncode == 1, said
    assert "CRITICAL" not in said
    with Store(tmp_path / "local.sqlite") as store:
        assert Counter(store.statuses().values()) == {"ok": 4, "crashed": 1}


def test_a_worker_with_another_version_gets_no_work(fleet, log, coordinator, tmp_path):
    patch = tmp_path / "patch"
    patch.mkdir()
    (patch / "sitecustomize.py").write_text(
        "import importlib.metadata as m\n"
        "real = m.version\n"
        "m.version = lambda name: '0.0.1' if name == 'numpy' else real(name)\n"
    )
    path = os.pathsep.join([str(patch), *(entry for entry in sys.path if entry)])
    fleet.start_worker()
    fleet.start_worker(environment={"PYTHONPATH": path})
    fleet.settle()
    process = coordinator(suite_of(["good"], fleet.address), tmp_path / "none.sqlite")
    said = process.communicate(timeout=PATIENCE_S)[1].splitlines()
    assert process.returncode == 2
    assert "it has numpy 0.0.1 and the coordinator " in said[-1]
    assert said[-1].startswith("mfbench: --executor dask: worker tcp://127.0.0.1:")
    assert not (tmp_path / "none.sqlite").exists()


NO_BENCH = """
import sys

class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "mfbench":
            raise ModuleNotFoundError(f"No module named {name!r}", name="mfbench")

sys.meta_path.insert(0, Hide())
"""


def test_a_worker_without_the_bench_is_told_and_starts_where_it_is_used(fleet, log, tmp_path, store):
    (tmp_path / "sitecustomize.py").write_text(NO_BENCH)
    path = os.pathsep.join([str(tmp_path), *(entry for entry in sys.path if entry)])
    plan = plan_of(suite_of(["good"], fleet.address), tmp_path)
    sound = fleet.start_worker()
    run_plan(plan, store, executor="dask")
    fleet.start_worker(environment={"PYTHONPATH": path})  # somebody else's, on the same scheduler
    fleet.settle()
    end(sound)
    words = "worker tcp://127.0.0.1:.*: it has no mfbench; install the coordinator's"
    with pytest.raises(UserError, match=words):
        run_plan(plan, store, executor="dask")


def test_a_plugin_that_a_worker_lacks_is_named(fleet, log, tmp_path, store, monkeypatch):
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "only_here.py").write_text(
        "import mfbench\n\n@mfbench.hookimpl\ndef mfbench_register(registry):\n    pass\n"
    )
    fleet.start_worker()
    monkeypatch.syspath_prepend(str(folder))
    text = suite_of(["good"], fleet.address).replace("timing =", 'plugins = ["only_here"]\ntiming =')
    suite = parse_suite(text, tmp_path, Where("tiny.toml"))
    plan = make_plan(suite, load_registry([str(PLUGIN), *suite.plugins]))
    words = "worker tcp://127.0.0.1:.*: plugin only_here: no module named 'only_here' is installed"
    with pytest.raises(UserError, match=words):
        run_plan(plan, store, executor="dask")
    assert store.runs() == {}


SBATCH = """
    #!/bin/bash
    # what dask-jobqueue needs of Slurm: the last argument is a job script
    bash "${@: -1}" > "$FAKE_SLURM/$$.log" 2>&1 &
    echo $! >> "$FAKE_SLURM/jobs"
    echo "Submitted batch job $!"
"""


def test_workers_that_a_batch_system_starts(log, coordinator, tmp_path, monkeypatch):
    pytest.importorskip("dask_jobqueue", reason="dask-jobqueue is not installed: pip install 'mfbench[dask]'")
    slurm = tmp_path / "slurm"
    slurm.mkdir()
    for name, code in (("sbatch", SBATCH), ("scancel", '#!/bin/bash\npkill -P "$1"\n')):
        (slurm / name).write_text(textwrap.dedent(code).lstrip())
        (slurm / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{slurm}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_SLURM", str(slurm))
    assert shutil.which("sbatch") == str(slurm / "sbatch")
    settings = (
        'cluster = "SLURMCluster"\n[executor.dask.options]\ncores = 1\nmemory = "2 GB"\ninterface = "lo"\n'
    )
    process = coordinator(suite_of([*MANY[:3]], settings=settings), tmp_path / "s.sqlite", "--workers", "2")
    said = process.communicate(timeout=PATIENCE_S)[1]
    assert process.returncode == 0, said
    assert len((slurm / "jobs").read_text().split()) == 2
