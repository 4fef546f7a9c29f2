"""Score norms on Gaussian data, where the score is linear."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mfbench_ood.msma import MultiscaleScoreNorms
from ood_fakes import Exact, Fixed, gaussian
from protocol_fakes import fitted

from mfbench import Unsupported, UserError
from mfbench.measures import auroc

SPECTRUM = [2.0, 1.0, 0.5, 0.1]
DATA = gaussian(SPECTRUM, count=600)


def test_norms_are_the_closed_form():
    """score = -sqrt(abar) x / (abar v + 1 - abar) at sqrt(abar) x, with abar = 1 / (1 + sigma^2)."""
    x = DATA.test.x.double()
    method = MultiscaleScoreNorms(Exact(DATA, scale=2.0, shift=0.1), levels=6, sigma_low=0.1, sigma_high=5.0)
    found = method.statistics(x)
    model, v = 2 * x + 0.1, torch.tensor(SPECTRUM, dtype=torch.float64)
    for column, sigma in zip(found.T, np.geomspace(0.1, 5.0, 6)):
        abar = 1 / (1 + sigma**2)
        expected = (abar**0.5 * model / (abar * v + 1 - abar)).norm(dim=1)
        assert torch.allclose(column, expected, rtol=1e-8)


def test_levels_are_held_within_the_schedule():
    method = MultiscaleScoreNorms(Exact(DATA), levels=2, sigma_low=0.05, sigma_high=1e9)
    assert method.statistics(DATA.test.x[:3]).isfinite().all()


def test_chunks_do_not_matter_and_the_state_is_enough():
    method = fitted(MultiscaleScoreNorms(Exact(DATA), components=2), DATA)
    scores = method.score(DATA.test.x)
    copy = MultiscaleScoreNorms(Exact(DATA), components=2, chunk=7)
    copy.build(DATA.spec())
    copy.load_state_dict(method.state_dict())
    assert torch.allclose(copy.score(DATA.test.x), scores, atol=1e-4)


@pytest.mark.parametrize("factor", [0.3, 3.0])
def test_both_smaller_and_larger_is_unseen(factor):
    data = gaussian(5 * SPECTRUM, count=600)
    method = fitted(MultiscaleScoreNorms(Exact(data), components=1), data)
    assert auroc(method.score(data.test.x), method.score(factor * data.test.x)) > 0.95


def test_bad_input_is_told():
    with pytest.raises(UserError, match="noise levels: 10 from sigma 2"):
        MultiscaleScoreNorms(Exact(DATA), sigma_low=2.0, sigma_high=1.0).statistics(DATA.test.x)
    with pytest.raises(Unsupported, match="reads the noise predictor of a diffusion model"):
        MultiscaleScoreNorms(Fixed()).build(DATA.spec())
