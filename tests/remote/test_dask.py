"""Two workers without a shared disk give the numbers of a local run; what cannot work is told in one line."""

import shutil
import socket
import threading
import time
from contextlib import contextmanager

import pytest
from fleet import PLUGIN, answers, plan_of, suite_of

from mfbench import artifacts
from mfbench.cli import main
from mfbench.engine import Listener, run_plan
from mfbench.errors import UserError
from mfbench.remote.settings import Settings
from mfbench.store import Store
from mfbench.wording import Where


@pytest.fixture
def weights(tmp_path):
    """A file and a folder that only the coordinator is told of."""
    file, folder = tmp_path / "weight.txt", tmp_path / "weights"
    (folder / "a").mkdir(parents=True)
    file.write_text("2.5")
    (folder / "a" / "weight.txt").write_text("3.5")
    return file, folder


class Finished(Listener):
    """Hears of every cell and fit."""

    def __init__(self):
        self.heard = []

    def finished(self, job, record):
        self.heard.append(record["status"])


def compared(fleet, methods, folder, monkeypatch, reference, **more):
    """The summary of a run with Dask, which is seen to say what a run on this machine says."""
    plan = plan_of(suite_of(methods, fleet.address, seeds=(0, 1), **more), folder)
    monkeypatch.setenv("MFBENCH_CACHE", str(folder / "cache-here"))
    with Store(folder / "here.sqlite") as store:
        here = run_plan(plan, store, executor=reference)
        expected = answers(store)
    monkeypatch.setenv("MFBENCH_CACHE", str(folder / "cache"))
    listener = Finished()
    with Store(folder / "dask.sqlite") as store:
        summary = run_plan(plan, store, executor="dask", listener=listener)
        assert answers(store) == expected
        again = run_plan(plan, store, executor="dask")
        assert (again.computed, again.fits) == (0, {})
    assert len(expected) == 2 * len(methods)
    assert (summary.statuses, summary.fits, summary.timed) == (here.statuses, here.fits, here.timed)
    assert len(listener.heard) == len(plan.cells) + len(plan.fits)
    for fit in plan.fits:  # made by a worker, checked, and kept here
        assert artifacts.verified_hash(folder / "cache", fit.key)
    return summary


def test_two_workers_without_a_shared_disk_give_the_numbers_of_one_process(
    two_workers, weights, tmp_path, monkeypatch
):
    methods = ["good", "fitted", f'{{name = "weighted", weights = "{weights[0]}"}}']
    summary = compared(two_workers, methods, tmp_path, monkeypatch, "inline")
    assert (summary.statuses, summary.fits) == ({"ok": 6}, {"ok": 2})


@pytest.mark.slow
def test_two_workers_without_a_shared_disk_give_the_numbers_of_a_local_run(
    two_workers, weights, tmp_path, monkeypatch
):
    """With what can only be seen in a child, a folder that travels, and times."""
    folder = f'{{name = "weighted", weights = "{weights[1]}"}}'
    summary = compared(
        two_workers, ["good", "exits", "fitted", folder], tmp_path, monkeypatch, "local", timing=True
    )
    assert (summary.statuses, summary.fits, summary.timed) == ({"crashed": 2, "ok": 6}, {"ok": 2}, 3)
    with Store(tmp_path / "dask.sqlite") as store:
        first = next(iter(store.runs().values()))
        workers = first["provenance"]["workers"]
        assert [worker["slots"] for worker in workers] == [1, 1]
        assert {timing["machine"] for timing in store.timings()} == {worker["machine"] for worker in workers}
        assert {timing["status"] for timing in store.timings()} == {"ok"}


@pytest.mark.slow
def test_a_fit_that_the_workers_have_lost_is_sent_again(two_workers, tmp_path, store):
    text = suite_of(["fitted"], two_workers.address, seeds=(10, 11))
    kept = "cache-w*/fits/*/*/state.json"
    for asked, fits in ((text, {"ok": 2}), (text + "repeat = 2\n", {})):
        plan = plan_of(asked, tmp_path)
        summary = run_plan(plan, store, executor="dask")
        assert (summary.statuses, summary.fits) == ({"ok": 2}, fits)
        there = {path.parent.name for path in two_workers.folder.glob(kept)}
        assert there >= {fit.key for fit in plan.fits}
        for folder in two_workers.folder.glob("cache-w*/fits"):
            shutil.rmtree(folder)


@pytest.fixture
def told(tmp_path, capsys):
    """`told(text, *words)`: exit code of `mfbench run` with Dask, and the line it says last."""

    def run(text, *words):
        (tmp_path / "tiny.toml").write_text(text)
        arguments = ["--executor", "dask", "--plugin", str(PLUGIN), "--store", str(tmp_path / "told.sqlite")]
        code = main(["run", str(tmp_path / "tiny.toml"), *arguments, *words])
        lines = capsys.readouterr().err.splitlines()
        assert not any("Traceback" in line for line in lines)
        return code, lines[-1]

    return run


def test_a_gpu_where_there_is_none_is_bad_input(two_workers, told):
    code, line = told(suite_of(["good"], two_workers.address), "--device", "cuda")
    assert code == 2
    assert line.startswith(
        f"mfbench: --device cuda: no worker at {two_workers.address} offers a GPU; start one"
    )
    assert f"CUDA_VISIBLE_DEVICES=0 dask worker {two_workers.address} --nthreads 1 --resources GPU=1" in line


def test_an_address_that_does_not_answer_is_bad_input(told, monkeypatch):
    pytest.importorskip("distributed", reason="Dask is not installed: pip install 'mfbench[dask]'")
    monkeypatch.setattr("mfbench.remote.clusters.CONNECT_S", 0.5)
    code, line = told(suite_of(["good"], "tcp://127.0.0.1:1"))
    assert code == 2
    assert "tiny.toml: executor.dask.address: no Dask scheduler answers at " in line
    assert line.endswith("start one with: dask scheduler")
    code, line = told(suite_of(["good"]), "--set", 'executor.dask.address="nonsense://a"')
    assert (code, '"nonsense://a" is no scheduler\'s address, which looks like tcp://' in line) == (2, True)


@contextmanager
def listening(says):
    """The port of somebody who listens, says this, and then nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        guests = []

        def serve():
            try:
                while True:
                    guests.append(server.accept()[0])
                    guests[-1].sendall(says)
            except OSError:
                return  # it is over

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        for guest in guests:
            guest.close()


@pytest.mark.parametrize("says", [b"", b"SSH-2.0-OpenSSH_9.6\r\n"])
def test_who_listens_and_is_no_scheduler_is_told(says, monkeypatch):
    pytest.importorskip("distributed", reason="Dask is not installed: pip install 'mfbench[dask]'")
    monkeypatch.setattr("mfbench.remote.clusters.CONNECT_S", 0.5)
    with listening(says) as port:
        _is_no_scheduler(f"tcp://127.0.0.1:{port}")


@pytest.mark.parametrize("address", ["tls://127.0.0.1:1", "inproc://1/2/3"])
def test_an_address_that_cannot_be_reached_from_here_is_told(address, monkeypatch):
    pytest.importorskip("distributed", reason="Dask is not installed: pip install 'mfbench[dask]'")
    monkeypatch.setattr("mfbench.remote.clusters.CONNECT_S", 0.5)
    _is_no_scheduler(address)


def test_a_worker_is_no_scheduler(two_workers):
    from distributed import Client

    with Client(two_workers.address, set_as_default=False) as client:
        client.wait_for_workers(1)
        address = next(iter(client.scheduler_info()["workers"]))
    _is_no_scheduler(address, r"\(a Worker answers there\)")


def _is_no_scheduler(address, why=""):
    """It is told in one line, within seconds, and without a client that is left to complain."""
    from mfbench.remote.clusters import connect

    settings = Settings(Where("tiny.toml").key("executor").key("dask"), address=address)
    began = time.monotonic()
    words = rf"tiny\.toml: executor\.dask\.address: no Dask scheduler answers at \"{address}\" .*{why}; start"
    with pytest.raises(UserError, match=words):
        connect(settings, None)
    assert time.monotonic() - began < 20
    assert not [thread for thread in threading.enumerate() if "IO loop" in thread.name]


@pytest.mark.slow
def test_a_scheduler_without_workers_is_told(fleet, told):
    text = suite_of(["good"], fleet.address)
    code, line = told(text, "--set", "executor.dask.wait=0.5")
    assert code == 2
    assert f"no worker came to {fleet.address} within 0.5 s" in line
    assert line.endswith(f"start one with: dask worker {fleet.address}")


@pytest.mark.slow
def test_the_whole_quick_suite_is_what_it_is_here(fleet, quick_as_here):
    fleet.start_worker()
    fleet.start_worker()
    quick_as_here(fleet.address)
