"""One Gaussian against SciPy's; scikit-learn's detectors with the right orientation, repeatable."""

from __future__ import annotations

import pytest
import torch
from mfbench_baselines.gaussian import Gaussian
from mfbench_baselines.outliers import IsolationForestScore, LocalOutlierFactorScore
from protocol_fakes import Normal, fitted
from scipy.stats import multivariate_normal

from mfbench.contracts import Dataset, Split

DATA = Normal(count=400, shift=1.0, scale=0.6)
FAR = Normal(count=400, shift=6.0)


def test_gaussian_is_scipys_with_the_moments_of_the_training_data():
    x = DATA.train.x.double()
    reference = multivariate_normal(x.mean(0).numpy(), x.T.cov().numpy())
    found = fitted(Gaussian(), DATA).log_prob(DATA.test.x)
    assert found.numpy() == pytest.approx(reference.logpdf(DATA.test.x.double().numpy()), abs=1e-3)


def test_gaussian_state_round_trip():
    method, copy = fitted(Gaussian(), DATA), Gaussian()
    copy.build(DATA.spec())
    copy.load_state_dict(method.state_dict())
    assert torch.equal(copy.log_prob(DATA.test.x), method.log_prob(DATA.test.x))


def test_constant_coordinates_do_not_break_the_gaussian():
    class Flat(Dataset):
        shape, name = (3,), "flat"

        def make_split(self, split):
            return Split(torch.cat([Normal(count=100).train.x, torch.ones(100, 1)], dim=1))

    assert fitted(Gaussian(), Flat()).log_prob(Flat().test.x).isfinite().all()


@pytest.mark.parametrize("kind", [IsolationForestScore, LocalOutlierFactorScore])
def test_detectors_score_the_seen_higher_and_repeat(kind):
    method = fitted(kind(), DATA)
    seen = method.score(DATA.test.x)
    assert float(seen.median()) > float(method.score(FAR.test.x).median())
    assert seen.dtype == DATA.test.x.dtype
    assert torch.equal(seen, fitted(kind(), DATA).score(DATA.test.x))
    assert method.bound == "score"
    assert method.state_dict() == {}


def test_the_forest_depends_on_the_seed():
    one, other = (fitted(IsolationForestScore(trees=10), DATA, seed).score(DATA.test.x) for seed in (0, 1))
    assert not torch.equal(one, other)
