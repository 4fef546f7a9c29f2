"""A registry of made-up signatures: what planning asks of plugins, without any plugin."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from mfbench.cards import Card
from mfbench.errors import UserError
from mfbench.registry.refusals import Trial
from mfbench.registry.schema import Parameter, Signature
from mfbench.spelling import did_you_mean

SUITE = """
[suite]
name  = "quick"
seeds = [0, 1, 2]
threads = 1
time_limit = 120
memory_limit = "8 GiB"

[[run]]
protocol = "ood_auroc"
data     = { name = "swiss_roll", count = 10000 }
against  = ["circles", "moons"]
methods  = ["diffusion_markov", { name = "kde", bandwidth = 0.05 }, "oracle_density"]

[[run]]
protocol  = "step_consistency"
generator = { name = "ddpm_mlp", iterations = 30000 }
data      = "swiss_roll"
methods   = ["ddpm", "ddim"]
grid.step = [1, 2, 5]
fit_time_limit = 900
"""


def number(name: str, default: Any, **more: Any) -> Parameter:
    return Parameter(name, type(default).__name__, default=default, **more)


def reference(name: str, kind: str, default: Any = None, **more: Any) -> Parameter:
    return Parameter(name, "ref", kind=kind, default=default, required=default is None, **more)


def signature(kind: str, name: str, *parameters: Parameter, **more: Any) -> Signature:
    return Signature(kind, name, parameters, source_hash=f"source of {kind} {name}", **more)


def default_signatures() -> list[Signature]:
    sets = [signature("dataset", name, number("count", 2000)) for name in ("swiss_roll", "circles", "moons")]
    return [
        *sets,
        signature("dataset", "folder", Parameter("root", "file", required=True), reads_files=True),
        signature("dataset", "shuffled", reference("data", "dataset", "circles")),
        signature(
            "protocol",
            "ood_auroc",
            reference("against", "dataset", many=True),
            number("count", 1000),
            measures="likelihood",
        ),
        signature(
            "protocol",
            "step_consistency",
            reference("generator", "generator", "ddpm_mlp"),
            Parameter("step", "float", required=True),
            measures="sampler",
            version=3,
        ),
        signature("generator", "ddpm_mlp", number("iterations", 3000), fits=True, stateful=True),
        signature(
            "generator", "distilled", reference("teacher", "generator", "ddpm_mlp"), fits=True, stateful=True
        ),
        signature("generator", "hen", reference("child", "generator", "egg"), fits=True),
        signature("generator", "egg", reference("child", "generator", "hen"), fits=True),
        signature(
            "likelihood",
            "diffusion_markov",
            reference("generator", "generator", "ddpm_mlp"),
            number("rounds", 10),
            Parameter("reduce", "literal", default="mean", choices=("mean", "logmeanexp")),
        ),
        signature(
            "likelihood", "kde", Parameter("bandwidth", "float", nullable=True), fits=True, stateful=True
        ),
        signature("likelihood", "oracle_density", role="reference"),
        signature("likelihood", "loaded", Parameter("weights", "file", required=True)),
        signature(
            "likelihood",
            "network",
            Parameter("hidden", "int", many=True, default=[64, 64]),
            number("bias", True),
            number("title", "plain"),
            number("offset", -1),
            Parameter("extra", "int", many=True, default=[]),
        ),
        signature(
            "sampler",
            "ddpm",
            Parameter("variance", "literal", default="beta", choices=("beta", "beta_tilde")),
        ),
        signature("sampler", "ddim"),
        signature("sampler", "stepped", number("step", 1.0)),
    ]


class FakeRegistry:
    """The part of `Registry` that planning uses.

    `children` counts how often signatures were read; those of `unreadable` cannot be. `trials` holds what was
    constructed, all at once each time; `refused` says what the constructors of some names object to.
    """

    sources = ("module_a",)

    def __init__(self, signatures: Iterable[Signature] = ()) -> None:
        self.signatures = {(s.kind, s.name): s for s in signatures or default_signatures()}
        self.children = 0
        self.unreadable: set[tuple[str, str]] = set()
        self.manifests: list[tuple[str, dict[str, Any], int]] = []
        self.trials: list[list[Trial]] = []
        self.refused: dict[tuple[str, str], str] = {}

    def names(self, kind: str) -> list[str]:
        return sorted(name for each, name in self.signatures if each == kind)

    def card(self, kind: str, name: str) -> Card:
        if (kind, name) not in self.signatures:
            raise UserError(f"there is no {kind} {name!r}{did_you_mean(name, self.names(kind))}")
        return Card(kind, name, "module:Class", "", plugin="fakes")


@pytest.fixture
def registry(monkeypatch) -> FakeRegistry:
    """The fake registry, and reading its signatures and files and constructing without a child."""
    fake = FakeRegistry()

    def read(given: FakeRegistry, keys, failures):
        given.children += 1
        failures |= {key: "it crashed" for key in keys if key in given.unreadable}
        return {key: given.signatures[key] for key in keys if key not in failures}

    def manifest(given: FakeRegistry, name, parameters, seed):
        given.manifests.append((name, parameters, seed))
        return {"a.png": "00"}

    def refusals(given: FakeRegistry, trials):
        given.trials.append(list(trials))
        return [given.refused.get((trial.kind, trial.name)) for trial in trials]

    monkeypatch.setattr("mfbench.plan.catalog.read_signatures", read)
    monkeypatch.setattr("mfbench.plan.constructors.read_refusals", refusals)
    monkeypatch.setattr("mfbench.plan.planning.data_manifest", manifest)
    return fake
