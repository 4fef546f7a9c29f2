"""What the plugin registers, and that it does so without torch."""

from __future__ import annotations

import subprocess
import sys

import pytest

from mfbench.registry import load_registry

SAMPLERS = ["ddim", "ddpm", "dpmpp_2m", "heun", "oracle", "prk", "rk4", "rk4_ddpm", "rk4_difference", "unipc"]


@pytest.fixture(scope="module")
def registry():
    return load_registry()


def test_everything_is_there(registry):
    ours = [card for card in registry.cards() if card.plugin == "mfbench_diffusion"]
    assert sorted(card.name for card in ours if card.kind == "sampler") == SAMPLERS
    assert {card.name for card in ours if card.kind == "likelihood"} == {"diffusion_markov", "diffusion_ode"}
    generators = {"ddpm_mlp", "ddpm_unet", "diffusers_pipeline"}
    assert {card.name for card in ours if card.kind == "generator"} == generators


def test_every_target_loads_and_has_defaults(registry):
    for card in registry.cards():
        if card.plugin == "mfbench_diffusion":
            assert registry.create(card.kind, card.name) is not None


def test_reading_the_registrations_imports_no_torch():
    code = "import sys, mfbench_diffusion; assert 'torch' not in sys.modules and 'numpy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_only_the_oracle_is_a_ceiling(registry):
    roles = {name: registry.load(registry.card("sampler", name)).role for name in SAMPLERS}
    assert {name for name, role in roles.items() if role == "ceiling"} == {"oracle"}
