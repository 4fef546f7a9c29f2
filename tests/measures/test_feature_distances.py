"""Kernel and Fréchet distances of features: Gaussians in closed form, identities, errors that are right."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from sklearn.metrics.pairwise import polynomial_kernel
from torchmetrics.image.kid import poly_mmd

from mfbench.measures import frechet_distance, kernel_distance


def normal(n, d, seed, shift=0.0, scale=1.0):
    return shift + scale * np.random.default_rng(seed).standard_normal((n, d))


def with_moments(mean, covariance, n, seed=0):
    """n samples whose mean and covariance (over n - 1) are exactly these."""
    z = normal(n, len(mean), seed)
    z -= z.mean(axis=0)
    z = z @ np.linalg.inv(np.linalg.cholesky(np.cov(z.T))).T
    return mean + z @ np.linalg.cholesky(covariance).T


def brute_kernel_distance(a, b):
    def off_diagonal_mean(k):
        return (k.sum() - np.trace(k)) / (len(k) * (len(k) - 1))

    kernel = {"degree": 3, "gamma": 1 / a.shape[1], "coef0": 1}
    within = [off_diagonal_mean(polynomial_kernel(x, **kernel)) for x in (a, b)]
    return sum(within) - 2 * polynomial_kernel(a, b, **kernel).mean()


def shifted(shift, dim):
    """Squared MMD of N(0, I) and N(shift 1, I): moments of order 1 to 3 in `dim` independent coordinates.

    (x . y / d + 1)^3 expands into sum_p C(3, p) / d^p <x^(p), y^(p)> with tensor powers, so the MMD is the
    same sum over |E x^(p) - E y^(p)|^2. Of the second moments the identity cancels; the third are m m m plus
    the three pairings of m with the identity.
    """
    mean = np.full(dim, shift)
    eye = np.eye(dim)
    second = np.einsum("i,j->ij", mean, mean)
    third = np.einsum("i,j,k->ijk", mean, mean, mean)
    for pairing in ("i,jk->ijk", "j,ik->ijk", "k,ij->ijk"):
        third = third + np.einsum(pairing, mean, eye)
    return 3 / dim * (mean**2).sum() + 3 / dim**2 * (second**2).sum() + (third**2).sum() / dim**3


def test_kernel_distance_is_the_sum_written_out():
    a, b = normal(40, 6, 0), normal(31, 6, 1, shift=0.3)
    assert kernel_distance(a, b).value == pytest.approx(brute_kernel_distance(a, b), rel=1e-12)


def test_kernel_distance_is_that_of_torchmetrics():
    a, b = normal(50, 5, 0), normal(50, 5, 1, shift=0.2)
    expected = float(poly_mmd(torch.from_numpy(a), torch.from_numpy(b)))
    assert kernel_distance(a, b).value == pytest.approx(expected, rel=1e-10)


def test_kernel_distance_of_shifted_gaussians_in_one_dimension():
    """(xy + 1)^3: the squared MMD is sum_p C(3, p) (E x^p - E y^p)^2, here of N(0, 1) and N(1, 1)."""
    found = kernel_distance(normal(4000, 1, 0), normal(4000, 1, 1, shift=1.0))
    expected = 3 * (0 - 1) ** 2 + 3 * (1 - 2) ** 2 + (0 - 4) ** 2
    assert expected == shifted(1.0, 1)
    assert found.low < expected < found.high
    assert found.standard_error < 0.15 * expected


def test_kernel_distance_is_unbiased_and_its_error_is_that_of_repeats():
    apart = [kernel_distance(normal(60, 3, 2 * i), normal(80, 3, 2 * i + 1, shift=0.5)) for i in range(300)]
    values = np.array([each.value for each in apart])
    assert abs(values.mean() - shifted(0.5, 3)) < 3.5 * values.std() / np.sqrt(300)
    errors = np.sqrt(np.mean([each.standard_error**2 for each in apart]))
    assert errors == pytest.approx(values.std(), rel=0.2)


def test_kernel_distance_of_equal_laws_is_zero_on_average_and_its_error_is_conservative():
    same = [kernel_distance(normal(50, 3, 2 * i), normal(50, 3, 2 * i + 1)) for i in range(300)]
    values = np.array([each.value for each in same])
    assert abs(values.mean()) < 3.5 * values.std() / np.sqrt(300)
    assert (values < 0).any()
    ratio = np.sqrt(np.mean([each.standard_error**2 for each in same])) / values.std()
    assert 0.95 < ratio < 1.6


def test_subsets_estimate_the_same_with_an_error_of_their_own():
    a, b = normal(2000, 4, 0), normal(2200, 4, 1, shift=0.4)
    whole = kernel_distance(a, b)
    dealt = kernel_distance(a, b, subset_size=100, rng=np.random.default_rng(0))
    assert dealt.method == "student"
    assert dealt.value == pytest.approx(whole.value, abs=4 * dealt.standard_error)
    assert whole.standard_error < 1.3 * dealt.standard_error
    again = kernel_distance(a, b, subset_size=100, rng=np.random.default_rng(0))
    assert again == dealt
    assert kernel_distance(a, b, subset_size=1500, rng=np.random.default_rng(0)).standard_error is None


def test_what_kernel_distance_refuses():
    a = normal(10, 2, 0)
    with pytest.raises(ValueError, match="give `rng`"):
        kernel_distance(a, a, subset_size=5)
    for size in (1, 11):
        with pytest.raises(ValueError, match="at least 2, and at most 10"):
            kernel_distance(a, a, subset_size=size, rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match="cannot be compared"):
        kernel_distance(a, normal(10, 3, 0))
    assert kernel_distance(a[:2], a[:5]).standard_error is None


def test_frechet_distance_of_given_moments():
    rng = np.random.default_rng(0)
    roots = rng.standard_normal((2, 4, 4))
    s, t = (r @ r.T + 0.1 * np.eye(4) for r in roots)
    m = rng.standard_normal(4)
    expected = m @ m + np.trace(s + t - 2 * sqrtm(s @ t).real)
    found = frechet_distance(with_moments(np.zeros(4), s, 50), with_moments(m, t, 70, seed=1))
    assert found == pytest.approx(expected, rel=1e-9)


def test_frechet_distance_of_commuting_gaussians_is_that_of_standard_deviations():
    a = with_moments(np.zeros(3), np.diag([1.0, 4.0, 9.0]), 40)
    b = with_moments(np.array([1.0, 0, 2]), np.diag([4.0, 4.0, 1.0]), 40)
    assert frechet_distance(a, b) == pytest.approx(5 + 1 + 0 + 4, rel=1e-10)


def test_frechet_distance_of_few_samples_in_many_dimensions():
    """Singular covariances: with two points a set they are u u^T / 2, whose root's trace is |u . v| / 2."""
    a, b = np.zeros((2, 500)), np.zeros((2, 500))
    a[1, :2], b[1, 0] = (3.0, 4.0), 2.0
    mean = ((a.mean(0) - b.mean(0)) ** 2).sum()
    assert frechet_distance(a, b) == pytest.approx(mean + 25 / 2 + 4 / 2 - 2 * 6 / 2, rel=1e-12)


@pytest.mark.parametrize("n", [20, 300])
def test_frechet_distance_of_a_set_to_itself_is_zero_however_ill_conditioned(n):
    a = normal(n, 64, 0) * np.logspace(-12, 3, 64) + 1e4
    scale = a.var(axis=0).sum()
    assert frechet_distance(a, a) <= 1e-10 * scale
    assert frechet_distance(a, a + 1.0) == pytest.approx(64, abs=1e-8 * scale)


def test_frechet_distance_takes_tensors_and_is_symmetric():
    a, b = normal(30, 5, 0), normal(40, 5, 1, scale=2.0)
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), rel=1e-12)
    assert frechet_distance(torch.from_numpy(a), torch.from_numpy(b)) == frechet_distance(a, b)
    with pytest.raises(ValueError, match="at least 2"):
        frechet_distance(a[:1], b)
