"""Sample distances against closed forms for Gaussians, brute force, and by their symmetries."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from scipy.stats import norm, wasserstein_distance

import mfbench.measures.distances as distances
from mfbench.measures import (
    energy_distance,
    maximum_mean_discrepancy,
    median_heuristic,
    sliced_wasserstein,
)


def quantile_sample(count, mean, std):
    """A sample of N(mean, std^2) without noise: its quantiles."""
    return mean + std * norm.ppf((np.arange(count) + 0.5) / count)[:, None]


def mean_absolute(mean, std):
    """E|Z| for Z ~ N(mean, std^2)."""
    return std * np.sqrt(2 / np.pi) * np.exp(-(mean**2) / (2 * std**2)) + mean * (
        2 * norm.cdf(mean / std) - 1
    )


@pytest.mark.parametrize(("mean", "std"), [(0.0, 1.0), (0.7, 1.0), (0.3, 2.0)])
def test_one_dimensional_gaussians_have_closed_forms(mean, std):
    x, y = quantile_sample(4000, mean, std), quantile_sample(3000, 0.0, 1.0)
    w2 = np.sqrt(mean**2 + (std - 1) ** 2)
    rng = np.random.default_rng(0)
    assert sliced_wasserstein(x, y, rng=rng, projections=4) == pytest.approx(w2, abs=0.01)
    energy = (
        2 * mean_absolute(mean, np.hypot(std, 1))
        - mean_absolute(0, std * np.sqrt(2))
        - mean_absolute(0, np.sqrt(2))
    )
    assert energy_distance(x, y) == pytest.approx(energy, abs=2e-3)
    s2 = 0.8**2  # E exp(-Z^2 / (2 s^2)) for Z ~ N(mean, v) = s / sqrt(s^2 + v) exp(-mean^2 / (2 (s^2 + v)))

    def kernel(v, m=0.0):
        return np.sqrt(s2 / (s2 + v)) * np.exp(-(m**2) / (2 * (s2 + v)))

    mmd = kernel(2 * std**2) + kernel(2.0) - 2 * kernel(std**2 + 1, mean)
    assert maximum_mean_discrepancy(x, y, bandwidth=0.8) == pytest.approx(mmd, abs=1e-3)


def test_sliced_wasserstein_of_a_shift_in_many_dimensions():
    # W_2 of a projection is |<direction, shift>|, whose mean square is |shift|^2 / dim
    x = np.random.default_rng(1).standard_normal((50, 6))
    shift = np.array([3.0, 0, 0, 0, 4.0, 0])
    got = sliced_wasserstein(x + shift, x, rng=np.random.default_rng(2), projections=20_000)
    assert got == pytest.approx(5 / np.sqrt(6), rel=0.02)


@given(
    st.lists(st.floats(-5, 5), min_size=1, max_size=12),
    st.lists(st.floats(-5, 5), min_size=1, max_size=12),
)
@settings(deadline=None)
def test_order_one_in_one_dimension_is_scipys_for_any_sizes(x, y):
    got = sliced_wasserstein(
        np.array(x)[:, None], np.array(y)[:, None], rng=np.random.default_rng(0), projections=1, order=1
    )
    assert got == pytest.approx(wasserstein_distance(x, y), abs=1e-9)


def test_blocks_do_not_change_the_result(monkeypatch):
    rng = np.random.default_rng(3)
    x, y = rng.standard_normal((57, 3)), rng.standard_normal((41, 3))

    def everything():
        return (
            sliced_wasserstein(x, y, rng=np.random.default_rng(0)),
            energy_distance(x, y),
            maximum_mean_discrepancy(x, y),
        )

    whole = everything()
    monkeypatch.setattr(distances, "_BLOCK", 100)
    assert everything() == pytest.approx(whole, abs=1e-12)


def test_u_statistics_equal_brute_force():
    rng = np.random.default_rng(4)
    x, y = rng.standard_normal((13, 2)), rng.standard_normal((9, 2)) + 1
    off_x, off_y = ~np.eye(13, dtype=bool), ~np.eye(9, dtype=bool)
    brute = 2 * cdist(x, y).mean() - cdist(x, x)[off_x].mean() - cdist(y, y)[off_y].mean()
    assert energy_distance(x, y) == pytest.approx(brute, abs=1e-7)
    h = median_heuristic(y)
    k = [np.exp(-(cdist(a, b) ** 2) / (2 * h**2)) for a, b in ((x, x), (y, y), (x, y))]
    brute = k[0][off_x].mean() + k[1][off_y].mean() - 2 * k[2].mean()
    assert maximum_mean_discrepancy(x, y) == pytest.approx(brute, abs=1e-12)


def test_unbiased_under_the_null():
    rng = np.random.default_rng(5)
    draws = rng.standard_normal((300, 2, 20, 2))
    for distance in (energy_distance, lambda x, y: maximum_mean_discrepancy(x, y, bandwidth=1.0)):
        values = np.array([distance(x, y) for x, y in draws])
        assert abs(values.mean()) < 4 * values.std() / np.sqrt(len(values))
        assert (values < 0).any()


def test_one_reference_means_one_kernel():
    rng = np.random.default_rng(6)
    reference = rng.standard_normal((100, 2))
    assert median_heuristic(reference) == pytest.approx(
        np.median(cdist(reference, reference)[np.triu_indices(100, 1)])
    )
    near, far = reference + 0.1, reference + 10
    kernel = median_heuristic(reference)
    for samples in (near, far):
        expected = maximum_mean_discrepancy(samples, reference, bandwidth=kernel)
        assert maximum_mean_discrepancy(samples, reference) == expected


def test_images_are_flattened_and_torch_generators_serve():
    x = torch.rand(6, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    first = sliced_wasserstein(x, x + 1, rng=torch.Generator().manual_seed(1))
    assert first == sliced_wasserstein(x.reshape(6, 4), x.numpy() + 1, rng=torch.Generator().manual_seed(1))
    # mean square of <direction, (1, 1, 1, 1)> is 4 / 4
    assert first == pytest.approx(1.0, rel=0.1)


@pytest.mark.parametrize("distance", [energy_distance, maximum_mean_discrepancy])
def test_bad_samples_are_refused_by_name(distance):
    good = np.zeros((3, 2))
    with pytest.raises(ValueError, match="at least 2 samples"):
        distance(good[:1], good)
    with pytest.raises(ValueError, match="must be finite"):
        distance(good + np.nan, good)
    with pytest.raises(ValueError, match="of 2 and of 1 dimensions"):
        distance(good, good[:, :1])
