"""Cells of other plugins do not meet what a plugin's code did to its process."""

import textwrap
from pathlib import Path

import pytest
from engine_fakes import answers

from mfbench.engine import run_plan
from mfbench.engine.domains import Domains
from mfbench.plan.planning import make_plan
from mfbench.registry import load_registry
from mfbench.store import Store
from mfbench.suite import parse_suite
from mfbench.wording import Where

PLUGIN = """
    import os, sys
    import numpy, torch
    import mfbench

    class Vandal(mfbench.Likelihood):
        def score(self, x, *, rng=None):
            numpy.log = numpy.exp = None
            torch.Tensor.exp = None
            sys.path.clear()
            os.environ.clear()
            os.chdir("/")
            return x.sum(1)

    @mfbench.hookimpl
    def mfbench_register(registry):
        registry.likelihood("vandal", Vandal, summary="breaks what it can reach")
"""

SUITE = """
    [suite]
    name = "vandal"
    seeds = [0]
    timing = false
    time_limit = 120
    [[run]]
    protocol = "density_accuracy"
    data = "swiss_roll"
    methods = ["gaussian", {first} "kde"]
"""


@pytest.fixture
def vandal(tmp_path):
    path = tmp_path / "vandal.py"
    path.write_text(textwrap.dedent(PLUGIN))
    return str(path)


def computed(path, plugin, first):
    """What a run says of the methods that come with the bench."""
    suite = parse_suite(SUITE.replace("{first}", first), Path.cwd(), Where("vandal.toml"))
    with Store(path) as store:
        summary = run_plan(make_plan(suite, load_registry([plugin])), store)
        names = {cell_id: record["method"]["name"] for cell_id, record in store.results().items()}
        found = answers(store)
    assert summary.statuses["ok"] == 2  # what becomes of the vandal is its own affair
    return {name: found[cell_id] for cell_id, name in names.items() if name != "vandal"}


def test_a_vandals_neighbours_are_as_they_were(tmp_path, vandal):
    alone = computed(tmp_path / "a.sqlite", vandal, "")
    after = computed(tmp_path / "b.sqlite", vandal, '"vandal",')
    assert set(alone) == {"gaussian", "kde"}
    assert after == alone


def test_the_benchs_own_plugins_are_one_domain_and_others_their_own(cache, vandal):
    def choice(kind, name, **parameters):
        return {"kind": kind, "name": name, "parameters": parameters}

    domains = Domains([vandal])
    protocol = choice("protocol", "density_accuracy", among=[choice("likelihood", "vandal")])
    kde, roll = choice("likelihood", "kde"), choice("dataset", "swiss_roll")
    assert domains.of({"method": kde, "data": roll, "needs": {}}) == []
    assert domains.of({"method": choice("likelihood", "vandal"), "data": roll}) == [vandal]
    assert domains.of({"method": kde, "data": roll, "protocol": protocol}) == [vandal]
    assert domains.of({"method": choice("likelihood", "unknown"), "data": roll}) == []
