"""Predictors, generators and the change of variables between data space and model space."""

from __future__ import annotations

import math

import pytest
import torch
from diffusion_fakes import gaussian, noise, seeded
from mfbench_diffusion.markov import DiffusionMarkov
from mfbench_diffusion.model_space import log_determinant, standard_normal
from mfbench_diffusion.ode import DiffusionODE

from mfbench import DiffusionModel, UserError


class Affine(DiffusionModel):
    """Model space is (x - b) A^T for data x; the predictor is that of N(0, I) in model space."""

    def __init__(self, matrix, shift):
        self.matrix, self.shift = matrix, shift
        self.predictor = gaussian([1.0] * len(shift)).noise_predictor(100)

    def to_model(self, x):
        return (x - self.shift.to(x.dtype)) @ self.matrix.T.to(x.dtype)


DIAGONAL = Affine(torch.tensor([[2.0, 0.0], [0.0, 0.5]]), torch.tensor([3.0, -1.0]))
FULL = Affine(torch.tensor([[2.0, 1.0], [-0.3, 0.5]]), torch.tensor([3.0, -1.0]))


@pytest.mark.parametrize("model", [DIAGONAL, FULL], ids=["diagonal", "full"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_log_determinant(model, dtype):
    expected = torch.linalg.slogdet(model.matrix.double()).logabsdet.item()
    assert log_determinant(model, torch.zeros(1, 2, dtype=dtype)) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("made", [DiffusionMarkov, DiffusionODE])
@pytest.mark.parametrize("model", [DIAGONAL, FULL], ids=["diagonal", "full"])
def test_densities_are_in_data_space(made, model):
    """N(0, I) in model space is N(b, (A^T A)^-1) in data space, and Eq. 23 is exact there."""
    x = noise(20, 2) + model.shift
    truth = torch.distributions.MultivariateNormal(
        model.shift.double(), precision_matrix=model.matrix.T.double() @ model.matrix.double()
    )
    estimated = made(model).log_prob(x, rng=seeded())
    assert torch.allclose(estimated, truth.log_prob(x), atol=1e-3 if made is DiffusionODE else 1e-9)


@pytest.mark.parametrize("made", [DiffusionMarkov, DiffusionODE])
def test_float32_in_float32_out(made):
    x = noise(5, 2, dtype=torch.float32)
    single, double = (made(DIAGONAL).log_prob(y, rng=seeded()) for y in (x, x.double()))
    assert (single.dtype, double.dtype) == (torch.float32, torch.float64)
    assert torch.allclose(single.double(), double, atol=1e-3)


@pytest.mark.parametrize("made", [DiffusionMarkov, DiffusionODE])
def test_assigned_predictor_without_a_generator(made):
    """Model space is data space then; with a generator its `to_model` stays in force."""
    x, predictor = noise(5, 2), DIAGONAL.predictor
    free, wrapped = made(), made(DIAGONAL)
    free.predictor = wrapped.predictor = predictor
    assert free.predictor is predictor
    assert torch.allclose(free.log_prob(x, rng=seeded()), standard_normal(x), atol=1e-4)
    assert torch.allclose(wrapped.log_prob(x, rng=seeded()), made(DIAGONAL).log_prob(x, rng=seeded()))


@pytest.mark.parametrize("made", [DiffusionMarkov, DiffusionODE])
@pytest.mark.parametrize("generator", ["ddpm_mlp", None, 3])
def test_no_predictor(made, generator):
    with pytest.raises(UserError, match="generator = "):
        made(generator).log_prob(noise(2, 2), rng=seeded())


def test_standard_normal():
    x = torch.randn(3, 2, 4, 4, generator=seeded())
    expected = torch.distributions.Normal(0, 1).log_prob(x.double()).flatten(1).sum(1)
    assert torch.allclose(standard_normal(x), expected)
    assert standard_normal(torch.zeros(1, 2)).item() == pytest.approx(-math.log(2 * math.pi))
