"""FLIPD on Gaussians of d dimensions embedded in D."""

from __future__ import annotations

import pytest
import torch
from mfbench_ood.flipd import FLIPD
from ood_fakes import Exact, gaussian
from protocol_fakes import Normal, seeded

from mfbench import EstimatesDimension, UserError
from mfbench.measures import auroc

FLAT = 1e-8
"""Variance off the subspace: far below the noise at which FLIPD looks."""


def embedded(d, D, count=200):
    """N(0, I) on a rotated d-dimensional subspace of D dimensions."""
    return gaussian([1.0] * d + [FLAT] * (D - d), count=count, rotate=True)


@pytest.mark.parametrize(("d", "D"), [(1, 2), (3, 10), (7, 20), (10, 10)])
def test_it_is_the_dimension_of_the_subspace(d, D):
    data = embedded(d, D, count=2000)
    method = FLIPD(Exact(data), t0=0.01)
    assert isinstance(method, EstimatesDimension)
    found = method.intrinsic_dimension(data.test.x.double())
    assert float(found.mean()) == pytest.approx(d, abs=0.02)
    assert float((found - d).abs().max()) < 0.15


def test_it_is_the_closed_form():
    """D - sum (1 - a) / (a v + 1 - a) + sum (1 - a) a x^2 / (a v + 1 - a)^2, x in the basis of Sigma."""
    v = torch.tensor([2.0, 0.5, 0.01], dtype=torch.float64)
    data = gaussian(v.tolist())
    x, t0 = data.test.x.double(), 0.3
    method = FLIPD(Exact(data), t0=t0)
    a = float(method.schedule.alpha_bar(torch.tensor(t0, dtype=torch.float64)))
    variance = a * v + 1 - a
    expected = 3 - ((1 - a) / variance).sum() + (a * (1 - a) * x**2 / variance**2).sum(1)
    assert torch.allclose(method.intrinsic_dimension(x), expected, rtol=1e-8)


def test_probes_agree_with_the_exact_trace():
    data = embedded(3, 8)
    x = data.test.x[:50].double()
    exact = FLIPD(Exact(data), divergence="exact").intrinsic_dimension(x)
    probed = FLIPD(Exact(data), divergence="hutchinson", probes=400)
    assert torch.allclose(probed.intrinsic_dimension(x, rng=seeded()), exact, atol=0.5)
    assert torch.equal(probed.score(x, rng=seeded()), -probed.intrinsic_dimension(x, rng=seeded()))
    with pytest.raises(UserError, match="rng = None"):
        probed.score(x)


def test_model_space_does_not_change_the_dimension():
    data = embedded(3, 8)
    stretched = Exact(gaussian([25.0] * 3 + [FLAT] * 5), scale=5.0)
    x = torch.cat([torch.randn(100, 3, generator=seeded(), dtype=torch.float64), torch.zeros(100, 5)], 1)
    assert float(FLIPD(stretched, t0=0.01).intrinsic_dimension(x).mean()) == pytest.approx(3, abs=0.05)
    assert data.shape == (8,)


def test_off_the_support_it_exceeds_the_dimensions_there_are():
    data = embedded(3, 8)
    method, x = FLIPD(Exact(data)), data.test.x
    off = x + 1.0
    assert float(method.intrinsic_dimension(off).min()) > 8
    assert auroc(method.score(x), method.score(off)) == 1.0
    high = FLIPD(Exact(data), inliers="high")
    assert torch.equal(high.score(x), -method.score(x))


def test_chunks_do_not_matter():
    data = embedded(3, 8)
    x = data.test.x
    parts = FLIPD(Exact(data), chunk=7).score(x)
    assert torch.allclose(parts, FLIPD(Exact(data)).score(x), atol=1e-5)


def test_bad_input_is_told():
    for parameters in ({"t0": 0.0}, {"t0": 1.5}, {"probes": 0}):
        with pytest.raises(UserError, match="flipd: "):
            FLIPD(Exact(Normal()), **parameters)
