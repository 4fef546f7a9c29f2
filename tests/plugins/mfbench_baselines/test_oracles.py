"""Oracles say what the data set knows; the control adds nothing of its own."""

from __future__ import annotations

import pytest
import torch
from mfbench_baselines.control import UntrainedNetwork
from mfbench_baselines.oracles import ExactDiffusion, HeldOut, OracleBayes, OracleDensity
from mfbench_diffusion.ddim import DDIM
from protocol_fakes import Normal, fitted, seeded

from mfbench.contracts import Likelihood
from mfbench.errors import Unsupported

DATA, OTHER = Normal(count=500), Normal(shift=1.5, count=500, name="other")


def test_oracle_density_is_the_data_sets_own():
    method = fitted(OracleDensity(), DATA)
    assert torch.equal(method.log_prob(DATA.test.x), DATA.log_density(DATA.test.x))
    assert torch.equal(method.score(DATA.test.x), DATA.log_density(DATA.test.x))
    assert (method.role, method.bound) == ("reference", "exact")


def test_oracle_bayes_is_the_log_ratio_and_needs_the_other_set():
    method = fitted(OracleBayes(), DATA)
    x = OTHER.test.x
    # log N(x; 0, I) - log N(x; m e_1, I) = m^2 / 2 - m x_1
    assert torch.allclose(method.score_against(x, OTHER), 1.5**2 / 2 - 1.5 * x[:, 0], atol=1e-5)
    assert method.role == "ceiling"
    with pytest.raises(Unsupported, match="against a known out-distribution set"):
        method.score(x)


def test_held_out_gives_the_validation_split_in_random_order():
    method = fitted(HeldOut(), DATA)
    samples = method.sample(500, rng=seeded())
    assert torch.equal(samples.sort(0).values, DATA.val.x.sort(0).values)
    assert not torch.equal(samples, DATA.val.x)
    assert torch.equal(method.sample(20, rng=seeded()), samples[:20])
    with pytest.raises(Unsupported, match="500 samples of the validation split to give, not 501"):
        method.sample(501, rng=seeded())


def test_exact_diffusion_samples_the_data():
    data = Normal(shift=2.0, scale=0.5, count=100)
    model = fitted(ExactDiffusion(num_steps=100, sampler=DDIM()), data)
    samples = model.sample(4000, rng=seeded())
    assert torch.allclose(samples.mean(0), data.mean, atol=0.05)
    assert torch.allclose(samples.std(0), torch.tensor(0.5), atol=0.03)
    assert model.predictor.schedule.num_steps == 100
    assert torch.equal(model.to_data(model.to_model(samples)), samples)


def test_the_control_is_its_likelihoods_score():
    class Norm(Likelihood):
        def score(self, x, *, rng=None):
            return -x.norm(dim=1) + torch.randn(len(x), generator=rng)

    control = UntrainedNetwork(likelihood=Norm())
    x = DATA.test.x
    assert torch.equal(control.score(x, rng=seeded(3)), Norm().score(x, rng=seeded(3)))
    assert (control.role, control.bound) == ("control", "score")
