"""What the plugin registers, without torch; all of it on digits, and the untrained control on images."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from ood_fakes import Squares
from protocol_fakes import fitted, seeded

import mfbench
from mfbench.registry import load_registry

CONTROLS = {"png_size", "pixel_gaussian"}
ON_LIKELIHOODS = {"complexity_corrected", "typicality"}
ON_DIFFUSION = {"msma", "diffpath", "denoising_reconstruction", "flipd", "diffusion_band"}
ON_VAE = {"vae_elbo", "vae_iwae", "likelihood_regret"}
LIKELIHOODS = CONTROLS | ON_LIKELIHOODS | ON_DIFFUSION | ON_VAE


@pytest.fixture(scope="module")
def registry():
    return load_registry()


@pytest.fixture(scope="module")
def digits():
    return mfbench.get("dataset", "digits")


@pytest.fixture(scope="module")
def model(digits):
    return fitted(mfbench.get("generator", "ddpm_mlp", iterations=100), digits)


def test_everything_is_there(registry):
    ours = [card for card in registry.cards() if card.plugin == "mfbench_ood"]
    assert {card.name for card in ours if card.kind == "likelihood"} == LIKELIHOODS
    assert {card.name for card in ours if card.kind == "generator"} == {"conv_vae"}


def test_only_the_controls_are_controls_and_only_the_bounds_are_densities(registry):
    classes = {name: registry.load(registry.card("likelihood", name)) for name in LIKELIHOODS}
    assert {name for name, target in classes.items() if target.role == "control"} == CONTROLS
    bounds = {name: target.bound for name, target in classes.items() if target.bound != "score"}
    assert bounds == {"pixel_gaussian": "exact", "vae_elbo": "lower", "vae_iwae": "lower"}


def test_every_target_has_a_docstring_and_defaults(registry):
    for name in LIKELIHOODS:
        assert registry.load(registry.card("likelihood", name)).__doc__
        assert registry.create("likelihood", name) is not None


def test_reading_the_registrations_imports_no_torch():
    code = "import sys, mfbench_ood; assert not {'torch', 'numpy', 'PIL', 'sklearn'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", sorted(CONTROLS))
def test_controls_on_digits(name, digits):
    scores = fitted(mfbench.get("likelihood", name), digits).score(digits.test.x, rng=seeded())
    assert scores.isfinite().all()


@pytest.mark.parametrize("name", sorted(ON_DIFFUSION))
def test_diffusion_scores_on_digits(name, digits, model):
    method = fitted(mfbench.get("likelihood", name, generator=model), digits)
    scores = method.score(digits.test.x[:20], rng=seeded())
    assert scores.shape == (20,)
    assert scores.isfinite().all()
    assert torch.equal(scores, method.score(digits.test.x[:20], rng=seeded()))


@pytest.mark.parametrize("name", sorted(ON_LIKELIHOODS))
def test_scores_on_likelihoods_on_digits(name, digits, model):
    inner = mfbench.get("likelihood", "diffusion_markov", generator=model, rounds=1)
    scores = fitted(mfbench.get("likelihood", name, likelihood=inner), digits).score(
        digits.test.x[:20], rng=seeded()
    )
    assert scores.isfinite().all()


@pytest.mark.parametrize("generator", ["ddpm_mlp", "conv_vae"])
def test_the_untrained_network_is_a_control_on_images_too(generator):
    """Random weights: another seed scores otherwise, and noise is told from squares by nothing learned."""
    data = Squares()
    kind = "vae_elbo" if generator == "conv_vae" else "diffusion_markov"
    found = []
    for seed in (0, 1):
        network = fitted(mfbench.get("generator", generator, iterations=0), data, seed)
        inner = mfbench.get("likelihood", kind, generator=network)
        control = fitted(mfbench.get("likelihood", "untrained_network", likelihood=inner), data)
        found.append(control.score(data.test.x, rng=seeded()))
    assert control.role == "control"
    assert all(scores.isfinite().all() for scores in found)
    assert not torch.equal(*found)


@pytest.mark.slow
def test_conformance(mfbench_check):
    mfbench_check("mfbench_ood")
