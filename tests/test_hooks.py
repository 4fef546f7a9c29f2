"""Every hook has a section in the plugin guide and a test here, and is called when its docstring says so."""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path

import pytest

import mfbench
from mfbench import hookspecs
from mfbench.cards import KINDS, LIFE_CYCLE
from mfbench.registry import load_registry

HOOKS = [name for name in vars(hookspecs) if name.startswith("mfbench_")]
GUIDE = (Path(__file__).parents[1] / "docs" / "plugins.md").read_text()


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_has_documentation_and_a_test(hook):
    section = re.search(rf"^### `{hook}`\n(.*?)(?=^#|\Z)", GUIDE, re.MULTILINE | re.DOTALL)
    assert section, f"docs/plugins.md has no section '### `{hook}`'"
    arguments = ", ".join(inspect.signature(getattr(hookspecs, hook)).parameters)
    assert f"`{hook}({arguments})`" in section[1], f"the section on {hook} must show how it is called"
    tests = [name for name in globals() if name.startswith(f"test_{hook}_")]
    assert tests, f"tests/test_hooks.py has no test of {hook}"
    assert "::\n\n" in inspect.getdoc(getattr(hookspecs, hook)), f"the docstring of {hook} shows no example"


def test_the_hooks_are_the_documented_ones():
    assert set(HOOKS) == {"mfbench_register", *LIFE_CYCLE}
    assert set(re.findall(r"^### `(mfbench_\w+)`", GUIDE, re.MULTILINE)) == set(HOOKS)


# -- registration -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_mfbench_register_takes_every_kind_by_class_and_by_path(write, kind):
    source = f"""
        import mfbench

        class It: ...

        @mfbench.hookimpl
        def mfbench_register(registry):
            registry.{kind}("by_class", It, summary="a class", reference="a paper")
            registry.{kind}("by_path", "some.module:Some.Class", summary="a path")
    """
    registry = load_registry([str(write("every.py", source))])
    registry.require_sources()
    by_class, by_path = registry.card(kind, "by_class"), registry.card(kind, "by_path")
    assert by_class.target.endswith(":It")
    assert (by_class.summary, by_class.reference) == ("a class", "a paper")
    assert (by_path.target, by_path.reference) == ("some.module:Some.Class", "")


def test_mfbench_register_is_called_once_a_registry(write):
    source = """
        import mfbench
        calls = []

        @mfbench.hookimpl
        def mfbench_register(registry):
            calls.append(1)
            registry.sampler(f"call_{len(calls)}", "a:B", summary="")
    """
    names = load_registry([str(write("once.py", source))]).names("sampler")
    assert [name for name in names if name.startswith("call_")] == ["call_1"]


# -- life cycle ---------------------------------------------------------------------------------------------

LISTENER = """
    import mfbench
    heard = []

    class Failing(mfbench.Likelihood):
        \"\"\"Fails.\"\"\"
        def fit(self, data, *, rng, progress):
            raise ValueError("on purpose")

    @mfbench.hookimpl
    def mfbench_register(registry):
        registry.likelihood("failing", Failing, summary="")

    @mfbench.hookimpl
    def mfbench_run_started(plan):
        heard.append(("started", dict(plan)))

    @mfbench.hookimpl
    def mfbench_cell_finished(record):
        heard.append(("cell", dict(record)))

    @mfbench.hookimpl
    def mfbench_run_finished(summary):
        heard.append(("finished", dict(summary)))
"""

SUITE = """
    [suite]
    name = "heard"
    seeds = [0, 1]
    timing = false

    [[run]]
    protocol = "ood_auroc"
    data = { name = "moons", count = 100, test_count = 50 }
    against = [{ name = "circles", test_count = 50 }]
    methods = ["gaussian", "failing"]
"""


@pytest.fixture(scope="module")
def heard(tmp_path_factory):
    """What a plugin hears of a run of four cells, and of the same run again."""
    from textwrap import dedent

    folder = tmp_path_factory.mktemp("heard")
    plugin, suite = folder / "listener_of_hooks.py", folder / "suite.toml"
    plugin.write_text(dedent(LISTENER))
    suite.write_text(dedent(SUITE))
    runs = []
    for _ in range(2):
        mfbench.run(
            suite, store=folder / "store.sqlite", executor="inline", device="cpu", plugins=[str(plugin)]
        )
        (module,) = (
            m for name, m in sys.modules.items() if name.startswith("mfbench_file_listener_of_hooks")
        )
        runs.append(list(module.heard))
        module.heard.clear()
    return runs


def test_mfbench_run_started_is_called_once_and_first(heard):
    first, again = heard
    assert [event for event, _ in first].count("started") == 1
    event, plan = first[0]
    assert (event, plan["suite"], plan["cells"], plan["cached"]) == ("started", "heard", 4, 0)
    assert plan["run_id"]
    assert plan["fits"] == 2
    event, plan = again[0]
    assert (event, plan["cells"], plan["cached"]) == ("started", 4, 4)


def test_mfbench_cell_finished_is_called_for_computed_cells_only(heard):
    first, again = heard
    records = [record for event, record in first if event == "cell"]
    told = {(record["method"]["name"], record["seed"], record["status"]) for record in records}
    assert len(records) == 4
    assert told == {("gaussian", seed, "ok") for seed in (0, 1)} | {
        ("failing", seed, "failed") for seed in (0, 1)
    }
    for record in records:
        assert record["protocol"]["name"] == "ood_auroc"
        assert record["data"]["name"] == "moons"
        assert record["cell_id"]
        assert bool(record["values"]) == (record["status"] == "ok")
    assert not [record for event, record in again if event == "cell"]


def test_mfbench_run_finished_is_called_once_and_last(heard):
    for run in heard:
        assert [event for event, _ in run].count("finished") == 1
        event, summary = run[-1]
        assert (event, summary["suite"], summary["interrupted"]) == ("finished", "heard", False)
        assert summary["statuses"] == {"ok": 2, "failed": 2}
        assert summary["run_id"] == run[0][1]["run_id"]
        assert summary["wall_s"] >= 0
