"""Each interval covers at its stated rate, agrees with a reference, and degenerates honestly."""

from statistics import NormalDist

import numpy as np
import pytest
from scipy.stats import norm, ttest_1samp

from mfbench.measures import bootstrap_mean, delong, over_seeds, student, wilson

Z = NormalDist().inv_cdf(0.975)


def coverage(intervals, truth):
    return np.mean([interval.low <= truth <= interval.high for interval in intervals])


def within_noise(share, stated, trials, slack=0.0):
    """Three standard errors of a simulated share, and what is allowed beyond."""
    return abs(share - stated) <= 3 * np.sqrt(stated * (1 - stated) / trials) + slack


@pytest.mark.parametrize(("shift", "m", "n"), [(0.0, 40, 60), (1.0, 50, 50), (2.5, 100, 80)])
def test_delong_covers(shift, m, n):
    rng = np.random.default_rng(0)
    trials = 1000
    intervals = [delong(rng.standard_normal(m) + shift, rng.standard_normal(n)) for _ in range(trials)]
    assert within_noise(coverage(intervals, norm.cdf(shift / np.sqrt(2))), 0.95, trials, slack=0.01)


def test_delong_variance_by_hand():
    # V10 = (1, 1, 0.5), V01 = (1, 2/3): var 1/12 / 3 + 1/18 / 2
    interval = delong([3.0, 2.0, 0.5], [0.0, 1.0])
    assert interval.value == pytest.approx(5 / 6)
    assert interval.standard_error == pytest.approx(np.sqrt(1 / 36 + 1 / 36))
    assert 0 < interval.low < 5 / 6 < interval.high < 1
    assert interval.method == "delong"


@pytest.mark.parametrize(
    ("scores_in", "scores_out", "value"),
    [(np.ones(20), np.zeros(50), 1.0), (np.zeros(20), np.ones(50), 0.0), (np.ones(20), np.ones(50), 0.5)],
)
def test_delong_is_exact_where_all_pairs_agree(scores_in, scores_out, value):
    interval = delong(scores_in, scores_out)
    least = 0.025 ** (1 / 20)
    expected = {1.0: (least, 1.0), 0.0: (0.0, 1 - least), 0.5: (least / 2, 1 - least / 2)}[value]
    assert interval.value == value
    assert (interval.low, interval.high) == pytest.approx(expected)
    assert interval.method == "exact: all pairs agree"
    assert interval.standard_error > 0


def test_delong_covers_where_it_often_degenerates():
    rng = np.random.default_rng(1)
    shift, trials = 3.5, 1000
    intervals = [delong(rng.standard_normal(15) + shift, rng.standard_normal(15)) for _ in range(trials)]
    assert {interval.method for interval in intervals} == {"delong", "exact: all pairs agree"}
    assert coverage(intervals, norm.cdf(shift / np.sqrt(2))) >= 0.94


def test_delong_says_nothing_of_a_single_example():
    interval = delong([1.0], [0.0, 2.0, 3.0])
    assert (interval.low, interval.high, interval.standard_error) == (0.0, 1.0, None)


@pytest.mark.parametrize("level", [0.5, 0.99])
def test_delong_keeps_other_levels(level):
    rng = np.random.default_rng(2)
    trials = 600
    intervals = [delong(rng.standard_normal(60) + 1, rng.standard_normal(60), level) for _ in range(trials)]
    assert within_noise(coverage(intervals, norm.cdf(1 / np.sqrt(2))), level, trials, slack=0.01)


def test_wilson_by_its_formula_and_at_the_edges():
    k, n = 8, 10
    centre = (k + Z**2 / 2) / (n + Z**2)
    half = Z / (n + Z**2) * np.sqrt(k * (n - k) / n + Z**2 / 4)
    interval = wilson(k, n)
    assert (interval.low, interval.high) == pytest.approx((centre - half, centre + half))
    assert wilson(10, 10).high == pytest.approx(1.0)
    assert wilson(10, 10).low < 0.8


def test_wilson_covers():
    rng = np.random.default_rng(3)
    trials = 2000
    intervals = [wilson(int(k), 50) for k in rng.binomial(50, 0.9, size=trials)]
    assert within_noise(coverage(intervals, 0.9), 0.95, trials, slack=0.025)


def test_student_is_scipys_and_one_value_has_no_interval():
    values = np.random.default_rng(4).standard_normal(7)
    expected = ttest_1samp(values, 0).confidence_interval(0.95)
    assert (student(values).low, student(values).high) == pytest.approx((expected.low, expected.high))
    assert student([2.0]).low is None
    assert student([2.0]).value == 2.0


def test_an_infinite_mean_has_no_interval():
    interval = student([1.0, -np.inf])
    assert interval.value == -np.inf
    assert interval.low is None


def test_student_and_bootstrap_cover_the_mean():
    rng = np.random.default_rng(5)
    trials = 400
    samples = rng.exponential(size=(trials, 60))
    booted = [bootstrap_mean(sample, rng=rng, resamples=500) for sample in samples]
    assert within_noise(coverage(booted, 1.0), 0.95, trials, slack=0.02)
    seeds = rng.standard_normal((trials, 5))
    assert within_noise(coverage([student(row) for row in seeds], 0.0), 0.95, trials)


def test_bootstrap_of_a_constant_is_that_constant():
    interval = bootstrap_mean([2.0, 2.0, 2.0], rng=np.random.default_rng(0))
    assert (interval.low, interval.value, interval.high) == (2.0, 2.0, 2.0)


def test_five_seeds_speak_for_themselves():
    values = [0.8, 0.9, 0.85, 0.87, 0.81]
    interval = over_seeds(values, [0.01] * 5)
    assert interval.method == "student over 5 seeds"
    assert (interval.low, interval.high) == (student(values).low, student(values).high)


def test_below_five_seeds_the_spread_within_them_speaks():
    interval = over_seeds([0.8, 0.9, 1.0], [0.03, 0.04, 0.0])
    assert interval.method == "within 3 seeds"
    assert interval.value == pytest.approx(0.9)
    assert interval.standard_error == pytest.approx(0.05 / 3)
    assert interval.high - interval.value == pytest.approx(Z * 0.05 / 3)


def test_few_seeds_without_standard_errors_show_their_range():
    for errors in (None, [None, 0.1, 0.1]):
        interval = over_seeds([0.8, 0.95, 1.0], errors)
        assert interval.method == "range of 3 seeds"
        assert (interval.low, interval.high) == (0.8, 1.0)
        assert interval.standard_error is None


def test_one_seed_has_only_what_lies_within_it():
    assert over_seeds([0.8], [0.1]).high == pytest.approx(0.8 + Z * 0.1)
    assert over_seeds([0.8]).high is None


def test_seeds_that_agree_to_the_last_digit_show_no_spread():
    interval = over_seeds([1.0] * 5, [0.02] * 5)
    assert interval.method == "within 5 seeds"
    assert interval.low == pytest.approx(1 - Z * 0.02 / np.sqrt(5))


def test_over_seeds_covers_with_three_and_with_six():
    rng = np.random.default_rng(6)
    trials, n = 1000, 400
    for seeds in (3, 6):
        draws = rng.standard_normal((trials, seeds, n))
        errors = draws.std(axis=2, ddof=1) / np.sqrt(n)
        intervals = [over_seeds(row.mean(axis=1), error) for row, error in zip(draws, errors, strict=True)]
        assert within_noise(coverage(intervals, 0.0), 0.95, trials)
