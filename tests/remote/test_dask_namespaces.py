"""Workers in two network namespaces, which see no file of the coordinator's: the numbers of a local run."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from fleet import PLUGIN, QUICK, answers, plan_of, suite_of

from mfbench.cli import main
from mfbench.engine import run_plan
from mfbench.store import Store

pytestmark = pytest.mark.slow


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


@pytest.fixture
def namespaces():
    """Two network namespaces: (name, address of the host in it). They cannot reach each other."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces need root and iproute2")
    made = []
    try:
        for index in (1, 2):
            name = f"mfbench{os.getpid()}n{index}"
            try:
                ip("netns", "add", name)
            except subprocess.CalledProcessError as error:
                pytest.skip(f"network namespaces cannot be made here: {error.stderr.strip()}")
            made.append((name, f"10.213.{index}.1"))
            _connect(name, index)
        yield made
    finally:
        for name, _ in made:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True)


def _connect(name, index):
    """A pair of virtual interfaces between the host and a namespace."""
    outer, inner = f"mfb{os.getpid() % 10_000}o{index}", f"mfb{os.getpid() % 10_000}i{index}"
    ip("link", "add", outer, "type", "veth", "peer", "name", inner)
    ip("link", "set", inner, "netns", name)
    ip("address", "add", f"10.213.{index}.1/24", "dev", outer)
    ip("link", "set", outer, "up")
    ip("-n", name, "address", "add", f"10.213.{index}.2/24", "dev", inner)
    ip("-n", name, "link", "set", inner, "up")
    ip("-n", name, "link", "set", "lo", "up")


@pytest.fixture
def apart(fleet, namespaces, tmp_path, cache, monkeypatch):
    """A fleet with a worker in each namespace, where the test's folder and the cache are empty.

    A worker's own folder is a file system in memory, which nobody else sees.
    """
    for worker in fleet.workers:
        worker.kill()
    fleet.scheduler.kill()
    port = fleet.start_scheduler(host="0.0.0.0").rpartition(":")[2]
    monkeypatch.delenv("MFBENCH_TEST_LOG")
    hidden = (str(tmp_path), str(cache), "/mnt")
    mounts = " && ".join(f"mount -t tmpfs none {folder}" for folder in hidden)
    for name, host in namespaces:
        fleet.start_worker(
            address=f"tcp://{host}:{port}",
            environment={"MFBENCH_CACHE": "/mnt/cache"},
            prefix=["ip", "netns", "exec", name, "sh", "-c", f'{mounts} && cd /mnt && exec "$@"', "sh"],
        )
    fleet.address = f"tcp://127.0.0.1:{port}"
    return fleet


def test_workers_without_a_shared_disk(apart, tmp_path):
    weight = tmp_path / "weight.txt"
    weight.write_text("2.5")
    plugin = shutil.copy(PLUGIN, tmp_path)  # in the folder that is hidden
    methods = ["good", "fitted", f'{{name = "weighted", weights = "{weight}"}}']
    plan = plan_of(suite_of(methods, apart.address, seeds=(0, 1, 2)), tmp_path, plugin)
    with Store(tmp_path / "dask.sqlite") as store:
        summary = run_plan(plan, store, executor="dask")
        assert (summary.statuses, summary.fits) == ({"ok": 9}, {"ok": 3})
        found = answers(store)
        (run,) = store.runs().values()
        assert len(run["provenance"]["workers"]) == 2
    with Store(tmp_path / "local.sqlite") as store:
        run_plan(plan, store, executor="inline")
        assert answers(store) == found


def test_the_quick_suite_without_a_shared_disk(apart, tmp_path):
    """Every protocol and every kind of method of `quick`, with fewer iterations and one seed."""
    settings = ("iterations=20", "suite.seeds=[0]", "suite.timing=false", "suite.time_limit=3000")
    fewer = [word for setting in settings for word in ("--set", setting)]
    address = ["--set", f'executor.dask.address="{apart.address}"']
    found = {}
    for name, words in (("dask", ["--executor", "dask", *address]), ("local", ["--workers", "2"])):
        path = tmp_path / f"{name}.sqlite"
        assert main(["run", str(QUICK), "--store", str(path), *fewer, *words]) == 0
        with Store(path) as store:
            found[name] = answers(store)
        if name == "dask":  # the local run fits for itself
            shutil.rmtree(Path(os.environ["MFBENCH_CACHE"]) / "fits")
    assert found["dask"] == found["local"]
    assert len(found["dask"]) > 50


def test_the_whole_quick_suite_is_what_it_is_here_without_a_shared_disk(apart, quick_as_here):
    quick_as_here(apart.address)
