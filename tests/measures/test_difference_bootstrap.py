"""The bootstrap of paired differences against exact enumerations, SciPy's Welch test and its own rules."""

import itertools
import warnings

import numpy as np
import pytest
from scipy.stats import binom, chisquare, norm, t, ttest_ind

from mfbench.measures import comparison, paired_difference, rank_intervals
from mfbench.measures.comparison import _drawn, _drawn_p, _Urn

LIMIT, DRAWN = "paired bootstrap, its limit", "paired bootstrap, drawn"


def against_zero(*seeds):
    """Methods a and b whose differences are these: by seed, a list of groups; a value is their means' sum."""
    a = [(float(sum(map(np.mean, groups))), {str(i): g for i, g in enumerate(groups)}) for groups in seeds]
    b = [(0.0, {name: np.zeros(len(group)) for name, group in scores.items()}) for _, scores in a]
    return a, b


def compare(*seeds, seed=0):
    return paired_difference(*against_zero(*seeds), np.random.default_rng(seed))


def normal_scores(n, scale=1.0, mean=0.0):
    """Symmetric and nearly normal: no skewness, little kurtosis."""
    return mean + scale * norm.ppf((np.arange(n) + 0.5) / n)


def binary(zeros, ones):
    return np.repeat([0.0, 1.0], [zeros, ones])


def exact_t(values):
    """|t| of all n^n resamples, each as likely: of the mean's shift over its own standard error."""
    n = len(values)
    resamples = values[np.array(list(itertools.product(range(n), repeat=n)))]
    shift, spread = resamples.mean(axis=1) - values.mean(), resamples.std(axis=1, ddof=1) / np.sqrt(n)
    equal = np.ptp(resamples, axis=1) == 0
    return np.where(equal, np.inf, np.abs(shift) / np.where(equal, 1.0, spread))


@pytest.mark.parametrize(("sizes", "scales"), [((12, 60), (3.0, 1.0)), ((80, 9), (0.5, 2.0))])
def test_two_groups_are_welchs_test(sizes, scales):
    x, y = (normal_scores(n, scale, mean) for n, scale, mean in zip(sizes, scales, (1.0, 0.2)))
    found, expected = compare([x, -y]), ttest_ind(x, y, equal_var=False)
    interval = expected.confidence_interval(0.95)
    assert found.method == LIMIT
    assert expected.df < 0.3 * (sum(sizes) - 2)  # far from the pooled degrees of freedom
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-9)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), rel=1e-9)


def test_seeds_are_groups_whose_mean_is_taken():
    x, y = normal_scores(12, 3.0, 1.0), normal_scores(60, 1.0, -0.2)
    found, expected = compare([x], [y]), ttest_ind(x, -y, equal_var=False)
    interval = expected.confidence_interval(0.95)
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-9)
    assert (2 * found.low, 2 * found.high) == pytest.approx((interval.low, interval.high), rel=1e-9)


def test_the_interval_has_the_level_asked_for():
    x, rng = normal_scores(50, mean=0.1), np.random.default_rng(0)
    found = paired_difference(*against_zero([x]), rng, level=0.8)
    half = t(49).ppf(0.9) * x.std(ddof=1) / np.sqrt(50)
    assert (found.low, found.high) == pytest.approx((0.1 - half, 0.1 + half))


@pytest.mark.parametrize(
    ("group", "method"),
    [
        # A fair coin: no skewness, excess kurtosis -2, so -2 / n of the mean's: 0.1 at n = 20.
        (binary(9, 9), DRAWN),
        (binary(11, 11), LIMIT),
        # Even steps: -1.2 / n, 0.1 at n = 12.
        (np.arange(11.0), DRAWN),
        (np.arange(13.0), LIMIT),
        # p (1 - p) = 1 / 6: no excess kurtosis, skewness sqrt(2), so sqrt(2 / n): 0.1 at n = 200.
        (binary(150, 40), DRAWN),
        (binary(168, 45), LIMIT),
        (-binary(150, 40), DRAWN),
        # A heavy tail on both sides: 100 of 1002 differ, excess kurtosis 7, 0.007 of the mean's; then 2 do.
        (np.repeat([-1.0, 0.0, 1.0], [50, 902, 50]), LIMIT),
        (np.repeat([-1.0, 0.0, 1.0], [1, 1000, 1]), DRAWN),
    ],
)
def test_its_limit_serves_where_skewness_and_kurtosis_of_the_mean_are_below_a_tenth(group, method):
    assert compare([group]).method == method


def test_cumulants_add_over_groups_and_seeds():
    skewed = binary(150, 40)
    assert compare([skewed, skewed]).method == LIMIT  # skewness falls by sqrt(2)
    assert compare([skewed], [skewed]).method == LIMIT
    assert compare([skewed, -skewed]).method == LIMIT
    few = binary(30, 8)
    assert compare([few, few]).method == DRAWN
    assert compare([few, -few]).method == LIMIT  # the skewness cancels; kurtosis is none


SMALL = np.array([0.0, 1.0, 3.0, 7.0, 20.0])


def test_what_is_drawn_are_the_resamples_of_the_textbook():
    drawn, exact = _drawn([SMALL], np.random.default_rng(1)), exact_t(SMALL)
    atoms, chances = np.unique(np.round(exact, 9), return_counts=True)
    nearest = np.abs(np.where(np.isfinite(atoms), atoms, 1e9) - np.minimum(drawn, 1e9)[:, None]).argmin(1)
    finite = np.isfinite(drawn)
    assert (finite == np.isfinite(atoms[nearest])).all()
    np.testing.assert_allclose(drawn[finite], atoms[nearest][finite], rtol=1e-6, atol=1e-6)
    expected = chances / chances.sum() * len(drawn)
    seen = np.bincount(nearest, minlength=len(atoms))
    rare = expected < 20
    observed = [*seen[~rare], seen[rare].sum()]
    assert chisquare(observed, [*expected[~rare], expected[rare].sum()]).pvalue > 0.001


def test_interval_and_p_are_those_of_all_resamples():
    values, exact = SMALL - 2.5, exact_t(SMALL)
    error = values.std(ddof=1) / np.sqrt(5)
    found = paired_difference(*against_zero([values]), np.random.default_rng(2), level=0.8)
    chance = np.mean(exact >= abs(values.mean()) / error - 1e-9)
    assert found.method == DRAWN
    assert found.p_value == pytest.approx(chance, abs=4 * np.sqrt(chance * (1 - chance) / 9999))
    below, above = (np.quantile(exact, 0.8 + gap, method="higher") for gap in (-0.015, 0.015))
    assert below * error <= (found.high - found.low) / 2 <= above * error


@pytest.mark.parametrize("scale", [0.1, 0.3, 0.7, 1.0, 1.1, 3.3])
def test_resamples_as_extreme_as_what_is_observed_count_whatever_the_rounding(scale):
    # Of three examples one differs. A resample with two has |t| as observed (chance 2/9); with none or
    # three, infinite (9/27).
    found = compare([scale * np.array([0.0, 0.0, 1.0])])
    assert found.p_value == pytest.approx(5 / 9, abs=0.02)


@pytest.mark.parametrize("scale", [0.1, 0.3, 0.7, 1.0, 1.1, 3.3])
@pytest.mark.parametrize("zeros", [2, 30])  # by indices, and by counts
def test_resamples_without_spread_are_infinite_whatever_the_rounding(scale, zeros):
    found = compare([scale * binary(zeros, 1) + 0.1])
    assert found.method == DRAWN
    assert (found.low, found.high) == (None, None)


def test_a_drawn_p_is_never_zero_and_never_above_one():
    drawn = np.linspace(0, 3, 9999)
    assert _drawn_p(drawn, 0.0, 50.0) == 1.0
    assert 0 < _drawn_p(drawn, 30.0, 50.0) < 1e-20


def test_an_observed_t_that_rounding_put_above_equal_ones_is_reached_by_them():
    drawn = np.repeat([0.5, 2.0 * (1 - 1e-12), 2.0 * (1 - 1e-6)], [6000, 2000, 1999])
    assert _drawn_p(drawn, 2.0, 50.0) == 2001 / 10_000


@pytest.mark.parametrize("reached", [0, 1, 5, 9])
def test_where_fewer_than_ten_reach_it_the_tail_is_students_through_the_99_percent_quantile(reached):
    drawn = np.concatenate([np.linspace(0, 3, 9999 - reached), np.full(reached, 100.0)])
    edge = np.quantile(drawn, 0.99, method="higher")
    expected = 2 * t(50).sf(8.0 * t(50).ppf(0.995) / edge)
    assert expected < 1e-6 < (1 + reached) / 10_000
    assert _drawn_p(drawn, 8.0, 50.0) == pytest.approx(expected)


@pytest.mark.parametrize("reached", [10, 11, 500])
def test_where_ten_reach_it_they_are_counted(reached):
    drawn = np.concatenate([np.linspace(0, 3, 9999 - reached), np.full(reached, 100.0)])
    assert _drawn_p(drawn, 8.0, 50.0) == (1 + reached) / 10_000


def test_the_tail_makes_no_p_larger_than_counting_does():
    drawn = np.linspace(0, 3, 9999)
    edge = np.quantile(drawn, 0.99, method="higher")
    assert 2 * t(3).sf(3.1 * t(3).ppf(0.995) / edge) > 0.005  # Student's with 3 is heavier than these
    assert _drawn_p(drawn, 3.1, 3.0) == 1 / 10_000


def test_where_the_99_percent_quantile_is_infinite_they_are_counted():
    drawn = np.concatenate([np.linspace(0, 3, 9799), np.full(200, np.inf)])
    assert _drawn_p(drawn, 8.0, 50.0) == 201 / 10_000
    assert _drawn_p(drawn, np.inf, 50.0) == 201 / 10_000


@pytest.mark.parametrize(
    ("zeros", "ones", "counted"), [(20, 3, False), (21, 3, True), (9, 9, False), (700, 1, True)]
)
def test_counts_are_drawn_where_less_than_an_eighth_is_distinct(zeros, ones, counted):
    urn = _Urn(binary(zeros, ones))
    assert urn.counted == counted
    assert urn.work == (2 if counted else zeros + ones)


def forced(values, counted):
    urn = _Urn(values)
    urn.counted = counted
    return urn


@pytest.mark.parametrize("counted", [True, False])
def test_both_ways_draw_how_many_of_two_values_are_taken(counted):
    n, ones, low, high = 40, 7, -0.4, 1.7
    urn = forced(np.repeat([low, high], [n - ones, ones]), counted)
    means, squares = urn.moments(20_000, np.random.default_rng(3))
    taken = (means - low) / (high - low) * n
    whole = np.round(taken).astype(int)
    np.testing.assert_allclose(taken, whole, atol=1e-9)
    np.testing.assert_allclose(squares, low**2 + (high**2 - low**2) * whole / n, rtol=1e-9)
    expected = 20_000 * binom(n, ones / n).pmf(np.arange(n + 1))
    seen, usual = np.bincount(whole, minlength=n + 1), expected >= 20
    rest = seen[~usual].sum(), expected[~usual].sum()
    assert chisquare([*seen[usual], rest[0]], [*expected[usual], rest[1]]).pvalue > 0.001


@pytest.mark.parametrize("counted", [True, False])
def test_both_ways_have_the_moments_of_means_of_independent_draws(counted):
    values, draws = np.repeat([-1.0, 0.0, 0.5, 4.0], [5, 60, 30, 3]), 20_000
    n, both = len(values), np.stack([values, values**2])
    moments = np.stack(forced(values, counted).moments(draws, np.random.default_rng(4)))
    exact = np.cov(both, ddof=0) / n
    error = np.sqrt(np.diag(exact) / draws)
    assert (np.abs(moments.mean(axis=1) - both.mean(axis=1)) < 4 * error).all()
    np.testing.assert_allclose(np.cov(moments), exact, rtol=0.06)


def test_as_many_resamples_are_drawn_as_the_work_allows(monkeypatch):
    rng = np.random.default_rng(5)
    distinct, repeated = rng.standard_normal(1000), np.repeat([0.0, 1.0, 2.0], [600, 150, 50])
    drawn = _drawn([distinct, repeated], rng)  # 1,000 indices and 3 counts a resample, in several portions
    assert len(drawn) == 10**7 // 1003
    assert np.isfinite(drawn).all()
    assert np.quantile(drawn, 0.95) == pytest.approx(1.96, rel=0.03)
    assert len(_drawn([repeated], rng)) == 9999
    monkeypatch.setattr(comparison, "_WORK", 10**5)
    assert len(_drawn([distinct], rng)) == 999


def test_a_group_of_one_example_has_no_spread_and_is_not_resampled():
    pairs = normal_scores(40, mean=0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = compare([pairs, np.array([0.3])], [pairs, np.array([0.4])], [pairs, np.array([0.1])])
        assert found.method == "paired t over 3 seeds"
        assert compare([np.array([1.0])]).method == "none: one seed"
    assert compare([np.array([0.1, 0.3])]).method == DRAWN


def test_what_is_adjusted_to_exactly_alpha_is_not_significant():
    difference = np.array([[0.0, 1.0], [-1.0, 0.0]])
    for p, expected in ((0.05, [[1, 2], [1, 2]]), (np.nextafter(0.05, 0), [[1, 1], [2, 2]])):
        assert rank_intervals(difference, np.full((2, 2), p), "higher").tolist() == expected
    assert rank_intervals(difference, np.full((2, 2), 0.2), "higher", alpha=0.2).tolist() == [[1, 2], [1, 2]]
