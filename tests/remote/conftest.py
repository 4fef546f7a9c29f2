"""The executor's tests: a cache of their own, and a scheduler with two workers that share no disk with it."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from fleet import QUICK, Fleet, answers

from mfbench.engine import run_plan
from mfbench.engine.children import children
from mfbench.plan.planning import make_plan
from mfbench.registry import load_registry
from mfbench.store import Store
from mfbench.suite import read_suite

LOCAL = "MFBENCH_TEST_QUICK_STORE"
"""Names the store of a local run: mfbench run benchmarks/quick.toml --store FILE --set suite.timing=false."""


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory):
    """MFBENCH_CACHE of the session: what is read about the plugin is read once."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("MFBENCH_CACHE", str(folder))
        yield folder
        children().stop()
        children().start()


@pytest.fixture(autouse=True)
def no_fits(cache):
    """A test finds no fit of an earlier one."""
    shutil.rmtree(cache / "fits", ignore_errors=True)


@pytest.fixture
def log(tmp_path, monkeypatch):
    """A file with a line for each computed cell and fit, of the workers started after this."""
    path = tmp_path / "log.txt"
    path.touch()
    monkeypatch.setenv("MFBENCH_TEST_LOG", str(path))
    return path


@pytest.fixture(scope="module")
def two_workers(tmp_path_factory) -> Iterator[Fleet]:
    """A scheduler and two workers, each with a cache folder of its own, for tests that kill nobody."""
    pytest.importorskip("distributed", reason="Dask is not installed: pip install 'mfbench[dask]'")
    fleet = Fleet(tmp_path_factory.mktemp("fleet"))
    try:
        fleet.start_scheduler()
        fleet.start_worker()
        fleet.start_worker()
        yield fleet
    finally:
        fleet.stop()


@pytest.fixture
def fleet(tmp_path, log) -> Iterator[Fleet]:
    """A scheduler, whose workers the test starts; `log` hears of what they compute."""
    pytest.importorskip("distributed", reason="Dask is not installed: pip install 'mfbench[dask]'")
    folder = tmp_path / "fleet"
    folder.mkdir()
    started = Fleet(folder)
    try:
        started.start_scheduler()
        yield started
    finally:
        started.stop()


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "results.sqlite") as opened:
        yield opened


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    """The cache of another machine."""
    folder = tmp_path / "there"
    monkeypatch.setenv("MFBENCH_CACHE", str(folder))
    return folder


@pytest.fixture
def quick_as_here(tmp_path):
    """`quick_as_here(address)`: the whole `quick` over Dask says, cell by cell, what the local run said."""
    path = os.environ.get(LOCAL, "")
    if not path:
        pytest.skip(f"{LOCAL} names no store of a local run of benchmarks/quick.toml")

    def run(address):
        settings = ["suite.timing=false", f'executor.dask.address="{address}"']
        plan = make_plan(read_suite(str(QUICK), settings), load_registry())
        with Store(Path(path)) as store:
            here = answers(store, plan.cells)
        lacking = len(plan.cells) - len(here)
        assert not lacking, f"{path} lacks {lacking} of {len(plan.cells)} cells: run quick into it first"
        with Store(tmp_path / "quick.sqlite") as store:
            run_plan(plan, store, executor="dask")
            there = answers(store, plan.cells)
        assert there.keys() == here.keys()
        assert [cell for cell in here if there[cell] != here[cell]] == []

    return run
