"""Hyper-parameters that cannot be are told when a method is made, in one line."""

from __future__ import annotations

import pytest
import torch
from diffusion_fakes import mixture, noise, seeded
from mfbench_diffusion.markov import DiffusionMarkov
from mfbench_diffusion.ode import DiffusionODE
from mfbench_diffusion.oracle import Oracle
from mfbench_diffusion.unipc import UniPC

from mfbench import Unsupported, UserError


@pytest.mark.parametrize(
    ("method", "name", "value", "message"),
    [
        (DiffusionMarkov, "rounds", 0, "diffusion_markov: rounds = 0: at least 1"),
        (DiffusionMarkov, "chunk", 0, "diffusion_markov: chunk = 0: at least 1"),
        (DiffusionMarkov, "step", 0.0, "diffusion_markov: step = 0.0: at least 1e-06"),
        (DiffusionMarkov, "step", -1.0, "diffusion_markov: step = -1.0: at least 1e-06"),
        (DiffusionMarkov, "step", 1e-300, "diffusion_markov: step = 1e-300: at least 1e-06"),
        (DiffusionODE, "steps", 0, "diffusion_ode: steps = 0: at least 1"),
        (DiffusionODE, "probes", 0, "diffusion_ode: probes = 0: at least 1"),
        (DiffusionODE, "chunk", 0, "diffusion_ode: chunk = 0: at least 1"),
        (Oracle, "tolerance", -1.0, "oracle: tolerance = -1.0: above 0"),
        (Oracle, "tolerance", 0.0, "oracle: tolerance = 0.0: above 0"),
        (UniPC, "order", 0, "unipc: order = 0: at least 1"),
    ],
)
def test_what_cannot_be_is_refused(method, name, value, message):
    with pytest.raises(UserError) as error:
        method(**{name: value})
    assert str(error.value) == message


def test_a_step_beyond_the_schedule_is_unsupported():
    made = DiffusionMarkov(step=100.5)
    made.predictor = mixture().noise_predictor(100)
    with pytest.raises(Unsupported, match=r"h = 100\.5 is longer than the whole schedule of T = 100 steps"):
        made.log_prob(noise(2, 2), rng=seeded())


def test_one_step_over_the_whole_schedule_is_legal():
    made = DiffusionMarkov(step=100)
    made.predictor = mixture().noise_predictor(100)
    assert torch.isfinite(made.log_prob(noise(2, 2), rng=seeded())).all()
