"""What the plugin registers, without torch; and all of it on digits, as a suite would use it."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from flow_fakes import fitted, seeded

import mfbench
from mfbench.registry import load_registry
from mfbench.testing.kit import check_plugin

NAMES = {"glow", "wavelet_flow", "hierarchical_flow"}
BUDGET = {
    "glow": {"scales": 2, "steps": 2, "width": 8},
    "wavelet_flow": {"levels": 2, "steps": 2, "width": 8, "features": 4},
    "hierarchical_flow": {"levels": 2, "steps": [2], "width": 8, "flow_width": 8, "features": 4},
}


@pytest.fixture(scope="module")
def digits():
    return mfbench.get("dataset", "digits")


def test_each_flow_is_a_generator_and_a_likelihood():
    ours = [card for card in load_registry().cards() if card.plugin == "mfbench_flows"]
    for kind in ("generator", "likelihood"):
        assert {card.name for card in ours if card.kind == kind} == NAMES
    assert len(ours) == 2 * len(NAMES)


def test_each_likelihood_refers_to_its_generator():
    for name in NAMES:
        assert type(mfbench.get("likelihood", name).generator) is type(mfbench.get("generator", name))


def test_reading_the_registrations_imports_no_torch():
    code = "import sys, mfbench_flows; assert not {'torch', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_on_digits(name, digits):
    generator = mfbench.get("generator", name, iterations=20, grey_levels=17, **BUDGET[name])
    fitted(generator, digits)
    likelihood = fitted(mfbench.get("likelihood", name, generator=generator), digits)
    scores = likelihood.score(digits.test.x[:30], rng=seeded())
    assert scores.shape == (30,)
    assert torch.isfinite(scores).all()
    images = generator.sample(4, rng=seeded())
    assert images.shape == (4, 1, 8, 8)
    assert 0 <= images.min() <= images.max() <= 1


@pytest.mark.slow
def test_the_plugin_keeps_the_contracts():
    findings = check_plugin("mfbench_flows")
    assert {finding.name for finding in findings} >= NAMES
    assert [finding for finding in findings if not finding.ok] == []
