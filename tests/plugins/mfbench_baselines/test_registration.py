"""The plugin names what it has, by import paths that hold, and imports none of it to do so."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import mfbench_baselines
import pytest


class Recorder:
    """Stands in for the registrar: keeps (kind, name) -> target."""

    def __init__(self):
        self.targets = {}

    def __getattr__(self, kind):
        def register(name, target, *, summary, reference=""):
            assert (kind, name) not in self.targets
            assert summary
            self.targets[kind, name] = target

        return register


@pytest.fixture
def targets():
    recorder = Recorder()
    mfbench_baselines.mfbench_register(recorder)
    return recorder.targets


def test_every_method_is_there(targets):
    likelihoods = {"kde", "gmm", "gaussian", "zuko_nsf", "isolation_forest", "lof"}
    likelihoods |= {"oracle_density", "oracle_bayes", "untrained_network"}
    assert {name for kind, name in targets if kind == "likelihood"} == likelihoods
    assert {name for kind, name in targets if kind == "generator"} == {
        "gmm",
        "zuko",
        "held_out",
        "exact_diffusion",
    }
    codes = {"pca", "random_projection", "oracle_factors"}
    assert {name for kind, name in targets if kind == "disentangler"} == codes


def test_every_target_can_be_imported(targets):
    for (kind, name), target in targets.items():
        module, _, attribute = target.partition(":")
        assert getattr(import_module(module), attribute).__doc__, (kind, name)


def test_registering_imports_no_torch():
    code = "import mfbench_baselines, sys; assert not {'torch', 'sklearn', 'zuko'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
