"""The pixel Gaussian against SciPy's, with the covariance that its formula says."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mfbench_ood import pixel_gaussian
from mfbench_ood.pixel_gaussian import PixelGaussian
from ood_fakes import Squares
from protocol_fakes import fitted
from scipy.stats import multivariate_normal

from mfbench import Dataset, Split, UserError

DATA = Squares()
X = DATA.train.x.flatten(1).double().numpy()


@pytest.mark.parametrize("covariance", ["full", "diagonal"])
@pytest.mark.parametrize("shrinkage", [0.01, 0.5, 1.0])
def test_density_is_scipys(covariance, shrinkage, monkeypatch):
    monkeypatch.setattr(pixel_gaussian, "ROWS", 77)
    S = np.cov(X.T)
    S = S if covariance == "full" else np.diag(np.diag(S))
    S = (1 - shrinkage) * S + shrinkage * np.diag(S).mean() * np.eye(64)
    x = DATA.test.x.double()
    found = fitted(PixelGaussian(covariance, shrinkage), DATA).log_prob(x)
    expected = multivariate_normal(X.mean(0), S).logpdf(x.flatten(1).numpy())
    assert found.numpy() == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("covariance", ["full", "diagonal"])
def test_state_round_trip(covariance):
    method, copy = fitted(PixelGaussian(covariance), DATA), PixelGaussian(covariance)
    copy.build(DATA.spec())
    copy.load_state_dict(method.state_dict())
    assert torch.equal(copy.log_prob(DATA.test.x), method.log_prob(DATA.test.x))


class Still(Dataset):
    name, shape = "still", (1, 2, 2)

    def make_split(self, split):
        x = torch.zeros(10, 1, 2, 2)
        x[:, 0, 0, 0] = torch.linspace(0, self.seed, 10)
        return Split(x)


def test_a_pixel_that_never_changes_has_a_variance_all_the_same():
    assert fitted(PixelGaussian(), Still(seed=1)).log_prob(Still(seed=1).test.x).isfinite().all()
    with pytest.raises(UserError, match="all training images are the same"):
        fitted(PixelGaussian(), Still(seed=0))


@pytest.mark.parametrize("shrinkage", [0.0, -1.0, 1.5])
def test_shrinkage_is_a_share(shrinkage):
    with pytest.raises(UserError, match="pixel_gaussian: shrinkage"):
        PixelGaussian(shrinkage=shrinkage)
