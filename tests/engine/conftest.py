"""The engine's tests: a cache of their own, one plugin that misbehaves, and suites of its methods."""

from pathlib import Path

import pytest
from engine_fakes import PLUGIN

from mfbench.engine.children import children
from mfbench.plan.planning import make_plan
from mfbench.registry import load_registry
from mfbench.store import Store
from mfbench.suite import parse_suite
from mfbench.wording import Where


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory):
    """MFBENCH_CACHE of the session: what is read about the plugin is read once."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("MFBENCH_CACHE", str(folder))
        yield folder
        children().stop()
        children().start()


@pytest.fixture
def log(tmp_path, monkeypatch):
    """A file with a line for each computed cell and fit; it also marks the processes of this test."""
    path = tmp_path / "log.txt"
    path.touch()
    children().close_idle()  # they have another test's environment
    monkeypatch.setenv("MFBENCH_TEST_LOG", str(path))
    return path


@pytest.fixture(scope="session")
def registry(cache):
    return load_registry([str(PLUGIN)])


@pytest.fixture
def plan_of(registry):
    """A plan from the lists that a [[run]] takes; `suite` adds keys to [suite]."""

    def make(methods, seeds=(0,), count=16, suite="", run="", select=""):
        text = f"""
            [suite]
            name = "tiny"
            seeds = {list(seeds)}
            time_limit = 60
            timing = false
            {suite}
            [[run]]
            protocol = "mean_score"
            data = {{name = "line", count = {count}}}
            methods = {methods}
            {run}
        """
        parsed = parse_suite(text, Path.cwd(), Where("tiny.toml"))
        return make_plan(parsed, registry, select=select)

    return make


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "results.sqlite") as opened:
        yield opened
