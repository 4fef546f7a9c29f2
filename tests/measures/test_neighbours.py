"""Precision, recall, density and coverage by hand, by brute force, and in expectation."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

import mfbench.measures.distances as distances
from mfbench.measures import precision_recall_density_coverage


def brute_force(fake, real, k):
    """Naeem et al.'s definitions, one matrix each."""
    radius_real = np.sort(cdist(real, real), axis=1)[:, k]
    radius_fake = np.sort(cdist(fake, fake), axis=1)[:, k]
    between = cdist(real, fake)
    in_real, in_fake = between < radius_real[:, None], between < radius_fake
    return in_real.any(0).mean(), in_fake.any(1).mean(), in_real.sum(0).mean() / k, in_real.any(1).mean()


@pytest.mark.parametrize("k", [1, 3, 5])
def test_equals_brute_force_in_any_blocks(k, monkeypatch):
    rng = np.random.default_rng(k)
    fake, real = rng.standard_normal((40, 3)) + 0.5, rng.standard_normal((60, 3))
    expected = brute_force(fake, real, k)
    for block in (2**22, 130):
        monkeypatch.setattr(distances, "_BLOCK", block)
        got = precision_recall_density_coverage(fake, real, k=k)
        assert (got.precision, got.recall, got.density, got.coverage) == pytest.approx(expected)


def test_by_hand_on_a_line():
    # with k = 1 every reference ball reaches to 1; the samples' own balls to .2, .2 and 9.1
    got = precision_recall_density_coverage(
        np.array([[0.5], [0.7], [9.8]]), np.array([[0.0], [1.0], [2.0]]), k=1
    )
    assert got.precision == pytest.approx(2 / 3)
    assert got.density == pytest.approx((2 + 2 + 0) / 3)
    assert got.coverage == pytest.approx(2 / 3)
    assert got.recall == pytest.approx(2 / 3)  # 1 and 2 lie within 9.1 of 9.8, 0 does not


def test_a_point_is_not_its_own_neighbour():
    far_apart = np.array([[0.0], [10.0], [20.0]])
    got = precision_recall_density_coverage(far_apart + 0.5, far_apart, k=1)
    assert got.precision == got.coverage == 1.0


def test_mode_collapse_keeps_precision_and_loses_coverage():
    rng = np.random.default_rng(0)
    real = rng.standard_normal((500, 2))
    collapsed = precision_recall_density_coverage(0.05 * rng.standard_normal((500, 2)), real)
    fair = precision_recall_density_coverage(rng.standard_normal((500, 2)), real)
    assert collapsed.precision > 0.95
    assert collapsed.coverage < 0.2
    # coverage of equal distributions is 1 - (1/2)(...)... -> 1 - 2^-k for equal sizes
    assert fair.coverage == pytest.approx(1 - 2**-5, abs=0.03)
    assert fair.density == pytest.approx(1.0, abs=0.15)


def test_too_few_samples_are_refused():
    with pytest.raises(ValueError, match="at least 6 samples"):
        precision_recall_density_coverage(np.zeros((5, 2)), np.zeros((9, 2)))
