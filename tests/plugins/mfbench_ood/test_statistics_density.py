"""The densities of statistics against SciPy's and scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mfbench_ood import density
from mfbench_ood.density import StatisticsDensity, fit_density
from mfbench_ood.randomness import seed_from
from protocol_fakes import seeded
from scipy.stats import gaussian_kde
from sklearn.mixture import GaussianMixture

from mfbench import UserError

MIXING = torch.tensor([[3.0, 0.0, 0.0], [1.0, 0.1, 0.0], [0.0, 2.0, 50.0]], dtype=torch.float64)
X = torch.randn(200, 3, generator=seeded(1), dtype=torch.float64) @ MIXING + 7
NEW = torch.randn(40, 3, generator=seeded(2), dtype=torch.float64) @ MIXING + 7
LOG_SCALES = X.std(0, correction=0).log().sum()


def test_kernel_density_is_scipys():
    """Up to the constant of standardising, which is left out, and the ridge."""
    found = fit_density(X, "kde", 0, seeded()).log_prob(NEW) - LOG_SCALES
    assert found.numpy() == pytest.approx(gaussian_kde(X.T.numpy()).logpdf(NEW.T.numpy()), abs=2e-3)


def test_mixture_is_scikit_learns():
    mean, scale = X.mean(0), X.std(0, correction=0)
    reference = GaussianMixture(3, reg_covar=1e-6, max_iter=200, random_state=seed_from(seeded()))
    reference.fit(((X - mean) / scale).numpy())
    found = fit_density(X, "gmm", 3, seeded()).log_prob(NEW)
    assert found.numpy() == pytest.approx(reference.score_samples(((NEW - mean) / scale).numpy()), rel=1e-8)


@pytest.mark.parametrize("kind", ["gmm", "kde"])
def test_chunks_and_state_do_not_matter(kind, monkeypatch):
    fitted = fit_density(X, kind, 3, seeded())
    whole = fitted.log_prob(NEW)
    assert torch.equal(StatisticsDensity.of_state(fitted.state()).log_prob(NEW), whole)
    monkeypatch.setattr(density, "_NUMBERS_AT_ONCE", 700)
    assert torch.allclose(fitted.log_prob(NEW), whole, rtol=1e-12)


def test_a_constant_statistic_does_not_break_it():
    flat = torch.cat([X, torch.ones(len(X), 1, dtype=X.dtype)], 1)
    for kind in ("gmm", "kde"):
        assert fit_density(flat, kind, 2, seeded()).log_prob(flat).isfinite().all()


def test_the_global_generators_are_left_alone():
    before = np.random.get_state()[1].copy(), torch.get_rng_state()
    fit_density(X, "gmm", 3, seeded())
    assert (np.random.get_state()[1] == before[0]).all()
    assert torch.equal(torch.get_rng_state(), before[1])


def test_too_few_samples_are_told():
    with pytest.raises(UserError, match="gmm: 5 samples are needed to fit it, there are 4"):
        fit_density(X[:4], "gmm", 5, seeded())
