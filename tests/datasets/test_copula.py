"""Binary attributes: prevalence, correlations by Sheppard's formula, groups, and refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm

from mfbench.datasets.copula import correlation_matrix, grouped_bits
from mfbench.errors import UserError

NAMES = ("hat", "beard", "smile", "glasses")


def bits(matrix, probability=0.5, kept=2, count=200_000, size=4, seed=0):
    group = np.arange(count) // size
    return group, grouped_bits(matrix, probability, kept, group, np.random.default_rng(seed))


def test_independent_attributes_have_their_prevalence_and_no_correlation():
    for probability in (0.5, 0.2):
        _, drawn = bits(np.eye(4), probability)
        assert np.abs(drawn.mean(0) - probability).max() < 0.01
        assert np.abs(np.corrcoef(drawn.T) - np.eye(4)).max() < 0.015


def test_correlations_follow_sheppard_between_kept_and_changing_attributes_too():
    given = np.array([[1, 0.5, 0.3], [0.5, 1, -0.4], [0.3, -0.4, 1]])
    matrix = correlation_matrix(NAMES, ("beard", "smile", "glasses"), given.ravel().tolist())
    _, drawn = bits(matrix)
    expected = 2 / math.pi * np.arcsin(matrix)
    assert np.abs(np.corrcoef(drawn.T) - expected).max() < 0.015


def test_joint_probability_is_the_bivariate_normal_s():
    matrix = correlation_matrix(NAMES, ("hat", "glasses"), (0.7,))
    _, drawn = bits(matrix, probability=0.3)
    level = norm.ppf(0.3)
    both = multivariate_normal.cdf([level, level], cov=[[1, 0.7], [0.7, 1]])
    assert (drawn[:, 0] & drawn[:, 3]).mean() == pytest.approx(both, abs=0.006)


def test_kept_attributes_are_the_groups_and_others_change_within():
    matrix = correlation_matrix(NAMES, NAMES, (0.6,))
    group, drawn = bits(matrix, kept=2, count=40_000)
    members = drawn.reshape(-1, 4, 4)
    assert (members[:, :, :2] == members[:, :1, :2]).all()
    assert (members[:, :, 2:] != members[:, :1, 2:]).any(1).mean() > 0.5
    assert len(np.unique(group)) == 10_000


def test_no_images_are_no_bits():
    empty = grouped_bits(np.eye(4), 0.5, 2, np.empty(0, dtype=np.int64), np.random.default_rng(0))
    assert empty.shape == (0, 4)


def test_one_number_is_every_pair():
    matrix = correlation_matrix(NAMES, ("smile", "hat"), (0.25,))
    expected = np.eye(4)
    expected[0, 2] = expected[2, 0] = 0.25
    assert np.array_equal(matrix, expected)


@pytest.mark.parametrize(
    ("correlated", "correlation", "message"),
    [
        (("hatt", "smile"), (0.5,), "no attribute 'hatt'; did you mean 'hat'"),
        (("hat", "hat"), (0.5,), "twice"),
        (("hat", "smile"), (0.5, 0.2), "2 numbers for 2 correlated"),
        (("hat",), (1.0,), "two attributes or more"),
        (("hat", "smile"), (1.0, 0.5, 0.4, 1.0), "not symmetric: 0.5 in row 1, column 2, 0.4"),
        (("hat", "smile"), (2.0, 0.5, 0.5, 2.0), "ones on its diagonal"),
        (("hat", "smile"), (1.0,), "not positive definite: its smallest eigenvalue is"),
        (("hat", "smile", "beard"), (-0.6,), "not positive definite: its smallest eigenvalue is -0.2"),
    ],
)
def test_what_is_no_correlation_is_refused_in_one_line(correlated, correlation, message):
    with pytest.raises(UserError, match=message):
        correlation_matrix(NAMES, correlated, correlation)
