"""The diffusion likelihoods behind a `to_model` that stretches space: its log-determinant, sign included.

Data coordinate i is b_i + u_i / a_i for u ~ N(0, v_i), so its density is N(b_i, v_i / a_i^2): a chain that
forgets log |a|, or takes it the wrong way round, is off by a constant of 0.5 nats or more.
"""

from __future__ import annotations

import math

import pytest
import torch
from diffusion_fakes import gaussian, noise, seeded
from mfbench_diffusion.markov import DiffusionMarkov
from mfbench_diffusion.model_space import log_determinant
from mfbench_diffusion.ode import DiffusionODE

from mfbench import DiffusionModel

SCALE = torch.tensor([3.0, 0.2], dtype=torch.float64)
SHIFT = torch.tensor([-4.0, 10.0], dtype=torch.float64)


class Stretched(DiffusionModel):
    """An exact noise predictor of N(0, diag(v)) in model space; model space is a (x - b)."""

    def __init__(self, variances, scale=SCALE):
        self.variances, self.scale = torch.tensor(variances, dtype=torch.float64), scale
        self.predictor = gaussian(variances).noise_predictor(1000)

    def to_model(self, x):
        return (self.scale * (x - SHIFT)).to(x.dtype)

    def to_data(self, x):
        return (x / self.scale + SHIFT).to(x.dtype)

    def density(self, x):
        """log N(x; b, v / a^2) in nats, by its formula in data space."""
        variances = self.variances / self.scale**2
        return -((x - SHIFT).square() / variances + (2 * math.pi * variances).log()).sum(1) / 2


SCALES = pytest.mark.parametrize(
    "scale", [SCALE, 1 / SCALE, -SCALE], ids=["shrinks_volume", "grows_volume", "reflects"]
)


@SCALES
def test_log_determinant_is_of_model_by_data(scale):
    """log |d model / d data| = log |a_1 a_2|: positive where the map to model space grows volumes."""
    expected = math.log(abs(scale[0].item() * scale[1].item()))
    assert abs(expected) > 0.5
    assert log_determinant(Stretched([1.0, 1.0], scale), SHIFT[None]) == pytest.approx(expected, abs=1e-9)


@SCALES
@pytest.mark.parametrize("step", [10, 70])
def test_every_path_gives_the_density_in_data_space(scale, step):
    """N(0, I) in model space: the weight of each path is the density itself, whatever its noise."""
    model = Stretched([1.0, 1.0], scale)
    x = model.to_data(noise(20, 2))
    weights = DiffusionMarkov(model, step=step).log_weights(x, rounds=3, rng=seeded(1))
    assert (weights - model.density(x)).abs().max() < 1e-10


@SCALES
@pytest.mark.parametrize("variances", [[1.0, 1.0], [0.3, 2.0]])
def test_the_flow_gives_the_density_in_data_space(scale, variances):
    model = Stretched(variances, scale)
    x = model.to_data(noise(10, 2) * model.variances.sqrt())
    assert (DiffusionODE(model, steps=50).log_prob(x) - model.density(x)).abs().max() < 1e-3
