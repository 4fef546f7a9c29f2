"""The suites in benchmarks/ can be planned, and `standard` asks for what it says it does."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import pytest

from mfbench.plan import planning
from mfbench.protocols.ood_sets import require_alike
from mfbench.registry import load_registry
from mfbench.suite import read_suite

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def planned(monkeypatch):
    """name -> the suite's plan, whether or not the files it reads are on this machine."""
    monkeypatch.setattr(planning, "data_manifest", lambda *asked: {"file": "00"})
    return lambda name: planning.make_plan(read_suite(FOLDER / name), load_registry())


@pytest.mark.parametrize("name", sorted(path.name for path in FOLDER.glob("*.toml")))
def test_can_be_planned(name, planned):
    assert planned(name).cells


@pytest.mark.parametrize("name", sorted(path.name for path in FOLDER.glob("*.toml")))
def test_no_pair_can_be_told_by_how_its_images_were_made(name, planned):
    """What `ood_auroc` refuses when it runs, found without the files."""
    registry = load_registry()
    asked = {
        json.dumps([cell.data, {key: cell.protocol["parameters"][key] for key in SIDES}])
        for cell in planned(name).cells
        if cell.protocol["name"] == "ood_auroc"
    }
    for text in sorted(asked):
        data, others = json.loads(text)
        seen = registry.create("dataset", data["name"], **data["parameters"])
        for other in (choice for key in SIDES for choice in others[key] or ()):
            unseen = registry.create("dataset", other["name"], **other["parameters"])
            require_alike(data["name"], seen, other["name"], unseen)


SIDES = ("near", "against", "validation")


def test_standard_is_the_papers_protocol_over_five_seeds(planned):
    plan = planned("standard.toml")
    points = [cell for cell in plan.cells if cell.data["name"] in {"swiss_roll", "gaussian_mixture"}]
    assert {cell.seed for cell in points} == set(range(5))
    assert all(cell.data["parameters"]["count"] == 10_000 for cell in points)
    steps, samplers = defaultdict(set), defaultdict(set)
    for cell in points:
        name, parameters = cell.method["name"], cell.method["parameters"]
        if name == "diffusion_markov":
            assert parameters["rounds"] == 100
            steps[cell.protocol["name"]].add(parameters["step"])
        if cell.protocol["name"] == "step_consistency":
            samplers[cell.data["name"]].add(name)
    assert steps == {"ood_auroc": {1, 2, 5, 10, 20}, "density_accuracy": {1, 2, 5, 10, 20}}
    assert samplers["swiss_roll"] == set(load_registry().names("sampler"))
    assert {"dpmpp_2m", "unipc", "rk4", "ddim"} <= samplers["gaussian_mixture"]
