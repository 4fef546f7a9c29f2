"""Paired differences find real effects and keep their error rate; Holm and ranks by hand."""

import itertools
import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import false_discovery_control, ttest_rel

import mfbench.measures.comparison as comparison
from mfbench.measures import auroc, holm, paired_difference, paired_t_matrix, placements, rank_intervals

RNG = 0


def scored(*arrays):
    """One seed's record for a plain mean."""
    return [(float(np.mean(a)), {"examples": np.asarray(a)}) for a in arrays]


def compare(a, b, seed=RNG):
    return paired_difference(a, b, np.random.default_rng(seed))


def rejections(draw_pair, trials, seed):
    rng = np.random.default_rng(seed)
    return np.mean([paired_difference(*draw_pair(rng), rng).p_value < 0.05 for _ in range(trials)])


def normal_pair(rng, n=40, seeds=2, effect=0.0):
    common = rng.standard_normal((seeds, n))  # what pairing removes
    a = common + 0.3 * rng.standard_normal((seeds, n)) + effect
    return scored(*a), scored(*(common + 0.3 * rng.standard_normal((seeds, n))))


def auroc_pair(rng, effect=0.0):
    truth_in, truth_out = rng.standard_normal(80) + 1, rng.standard_normal(60)

    def method(noise):
        s_in = truth_in + noise * rng.standard_normal(80)
        s_out = truth_out + noise * rng.standard_normal(60)
        v10, v01 = placements(s_in, s_out)
        return [(auroc(s_in, s_out), {"in": v10, "out": v01})]

    return method(0.5), method(0.5 + effect)


def skewed_pair(rng):
    a, b = np.exp(1.2 * rng.standard_normal((2, 60)))
    return scored(a), scored(b)


def sparse_pair(rng):
    return scored(rng.random(150) < 0.03), scored(rng.random(150) < 0.03)


@pytest.mark.parametrize(
    ("draw_pair", "trials"), [(normal_pair, 2000), (auroc_pair, 1500), (skewed_pair, 200), (sparse_pair, 600)]
)
def test_the_error_rate_is_kept(draw_pair, trials, monkeypatch):
    monkeypatch.setattr(comparison, "RESAMPLES", 999)
    allowed = 0.05 + 3 * np.sqrt(0.05 * 0.95 / trials) + 0.005
    assert rejections(draw_pair, trials, seed=1) <= allowed


@pytest.mark.parametrize(
    "draw_pair", [lambda rng: normal_pair(rng, effect=0.3), lambda rng: auroc_pair(rng, effect=8.0)]
)
def test_real_effects_are_found(draw_pair):
    assert rejections(draw_pair, 200, seed=2) > 0.75


def test_the_interval_covers_the_true_difference():
    rng = np.random.default_rng(3)
    trials, inside = 1500, 0
    for _ in range(trials):
        result = paired_difference(*normal_pair(rng, effect=0.1), rng)
        inside += result.low <= 0.1 <= result.high
    assert abs(inside / trials - 0.95) < 3 * np.sqrt(0.95 * 0.05 / trials) + 0.002


def test_the_interval_covers_a_skewed_mean(monkeypatch):
    monkeypatch.setattr(comparison, "RESAMPLES", 999)
    rng = np.random.default_rng(4)
    trials, inside, methods = 400, 0, set()
    for _ in range(trials):
        result = paired_difference(scored(rng.exponential(size=40)), scored(np.zeros(40)), rng)
        methods.add(result.method)
        inside += result.low <= 1.0 <= result.high
    assert "paired bootstrap, drawn" in methods
    assert inside / trials > 0.95 - 3 * np.sqrt(0.95 * 0.05 / trials) - 0.01


def test_one_group_and_seed_is_the_paired_t_test_in_the_limit():
    rng = np.random.default_rng(5)
    a, b = rng.standard_normal((2, 500))
    result, expected = compare(scored(a), scored(b)), ttest_rel(a, b)
    interval = expected.confidence_interval(0.95)
    assert result.method == "paired bootstrap, its limit"
    assert result.p_value == pytest.approx(expected.pvalue)
    assert (result.low, result.high) == pytest.approx((interval.low, interval.high))


def test_drawing_agrees_with_the_limit(monkeypatch):
    rng = np.random.default_rng(6)
    a, b = normal_pair(rng, n=300, seeds=3, effect=0.03)
    limit = compare(a, b)
    monkeypatch.setattr(comparison, "_NEARLY_NORMAL", 0.0)
    drawn = compare(a, b)
    assert drawn.method == "paired bootstrap, drawn"
    assert drawn.difference == limit.difference
    assert drawn.p_value == pytest.approx(limit.p_value, abs=0.015)
    assert (drawn.low, drawn.high) == pytest.approx(
        (limit.low, limit.high), abs=0.1 * (limit.high - limit.low)
    )


def test_the_tail_beyond_the_resamples_follows_the_limit(monkeypatch):
    rng = np.random.default_rng(7)
    a, b = normal_pair(rng, n=300, seeds=3, effect=0.1)
    limit = compare(a, b)
    assert limit.p_value < 1e-5
    monkeypatch.setattr(comparison, "_NEARLY_NORMAL", 0.0)
    assert np.log(compare(a, b).p_value) == pytest.approx(np.log(limit.p_value), rel=0.2)


def test_the_bootstrap_is_the_textbook_one(monkeypatch):
    """Multinomial counts of distinct differences against resampled indices."""
    rng = np.random.default_rng(8)
    groups = [rng.integers(0, 3, 30).astype(float), rng.exponential(size=20)]
    drawn = comparison._drawn(groups, rng)
    indexed = np.zeros((2, 20_000))
    for group in groups:
        resampled = group[rng.integers(len(group), size=(20_000, len(group)))]
        indexed += resampled.mean(1) - group.mean(), resampled.var(1, ddof=1) / len(group)
    expected = np.abs(indexed[0]) / np.sqrt(indexed[1])
    for level in (0.5, 0.9, 0.95):
        assert np.quantile(drawn, level) == pytest.approx(np.quantile(expected, level), rel=0.05)


def test_identical_scores_give_p_one():
    a = scored(np.arange(10.0), np.arange(5.0))
    result = compare(a, a)
    assert (result.difference, result.low, result.high, result.p_value) == (0.0, 0.0, 0.0, 1.0)


def test_a_constant_difference_is_certain():
    a = np.arange(10.0)
    result = compare(scored(a + 1), scored(a))
    assert (result.low, result.high, result.p_value) == (1.0, 1.0, 0.0)


def test_too_few_differing_examples_give_no_interval():
    a = np.zeros(1000)
    a[0] = 1.0
    result = compare(scored(a), scored(np.zeros(1000)))
    assert (result.low, result.high) == (None, None)
    assert result.p_value > 0.3


@pytest.mark.parametrize(
    "break_pairing",
    [
        lambda value, scores: (value, {}),
        lambda value, scores: (value, {"other": scores["examples"]}),
        lambda value, scores: (value, {"examples": scores["examples"][:-1]}),
        lambda value, scores: (value, {"examples": scores["examples"] * np.inf}),
    ],
)
def test_without_paired_scores_the_seeds_are_compared(break_pairing):
    rng = np.random.default_rng(9)
    a, b = normal_pair(rng, seeds=4)
    b[2] = break_pairing(*b[2])
    result = compare(a, b)
    expected = ttest_rel([v for v, _ in a], [v for v, _ in b])
    assert result.method == "paired t over 4 seeds"
    assert result.p_value == pytest.approx(expected.pvalue)
    interval = expected.confidence_interval(0.95)
    assert (result.low, result.high) == pytest.approx((interval.low, interval.high))


@pytest.mark.parametrize(
    ("a", "b"), [([1.0], [0.0]), ([-np.inf, 1.0], [0.0, 0.0]), ([np.nan, 1.0], [0.0, 0.0])]
)
def test_no_comparison_is_possible(a, b):
    result = compare([(v, {}) for v in a], [(v, {}) for v in b])
    assert (result.low, result.high, result.p_value) == (None, None, 1.0)


def test_unequal_seeds_are_refused():
    with pytest.raises(ValueError, match="same seeds, not on 1 and 2"):
        compare(scored([1.0, 2.0]), scored([1.0, 2.0], [1.0, 2.0]))


def test_torch_and_numpy_generators_serve():
    rng = np.random.default_rng(10)
    a, b = skewed_pair(rng)
    first, second = (paired_difference(a, b, torch.Generator().manual_seed(1)) for _ in range(2))
    assert first == second


def test_boards_of_many_examples_are_quick():
    rng = np.random.default_rng(11)
    a, b = normal_pair(rng, n=5000, seeds=3)
    start = time.perf_counter()
    for _ in range(20):
        paired_difference(a, b, rng)
    assert (time.perf_counter() - start) / 20 < 0.02


def test_the_matrix_agrees_with_scipy_pair_by_pair():
    values = np.random.default_rng(12).standard_normal((6, 5))
    difference, low, high, p = paired_t_matrix(values)
    for i, j in itertools.permutations(range(6), 2):
        expected = ttest_rel(values[i], values[j])
        interval = expected.confidence_interval(0.95)
        assert (low[i, j], high[i, j]) == pytest.approx((interval.low, interval.high))
        assert p[i, j] == pytest.approx(expected.pvalue)
        assert difference[i, j] == pytest.approx(np.mean(values[i] - values[j]))
    assert (np.diag(p) == 1).all()


def test_the_matrix_uses_the_seeds_that_both_have():
    values = np.array([[1.0, 2.0, np.nan, 4.1], [0.5, np.nan, 3.0, 3.0], [np.nan, 1.0, np.nan, np.nan]])
    difference, low, _, p = paired_t_matrix(values)
    assert difference[0, 1] == pytest.approx(np.mean([0.5, 1.1]))
    assert p[0, 1] == pytest.approx(ttest_rel([1.0, 4.1], [0.5, 3.0]).pvalue)
    assert p[0, 2] == p[1, 2] == 1.0
    assert np.isnan(low[0, 2])
    assert np.isnan(low[1, 2])


def test_the_matrix_on_equal_constant_and_infinite_rows():
    values = np.array([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0], [3.0, 4.0, 5.0], [-np.inf, 0.0, 0.0]])
    difference, _, _, p = paired_t_matrix(values)
    assert p[0, 1] == 1.0
    assert p[0, 2] == 0.0
    assert p[0, 3] == 1.0
    assert difference[0, 3] == np.inf


def test_a_matrix_of_a_thousand_methods_is_quick():
    values = np.random.default_rng(13).standard_normal((1000, 5))
    start = time.perf_counter()
    paired_t_matrix(values)
    assert time.perf_counter() - start < 5


def test_holm_by_hand():
    # sorted .005 .01 .03 .04: times 4, 3, 2, 1 = .02 .03 .06 .04, made monotone
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm([0.6, 0.7]), [1.0, 1.0])
    assert holm([]).shape == (0,)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
@settings(deadline=None)
def test_holm_lies_between_the_raw_values_and_bonferroni(p_values):
    adjusted = holm(p_values)
    assert (adjusted >= p_values).all()
    assert (adjusted <= np.minimum(1, np.array(p_values) * len(p_values)) + 1e-15).all()
    assert (adjusted >= false_discovery_control(p_values) - 1e-12).all()  # stricter than Benjamini-Hochberg


def test_ranks_by_hand():
    values = np.array([0.9, 0.8, 0.79, 0.1])
    difference = values[:, None] - values
    p = np.ones((4, 4))
    for i, j in [(0, 2), (0, 3), (1, 3), (2, 3)]:
        p[i, j] = p[j, i] = 0.01
    assert rank_intervals(difference, p, "higher").tolist() == [[1, 2], [1, 3], [2, 3], [4, 4]]
    assert rank_intervals(difference, p, "lower").tolist() == [[3, 4], [2, 4], [2, 3], [1, 1]]


def test_ranks_without_evidence_and_of_one_method():
    assert rank_intervals(np.zeros((3, 3)), np.ones((3, 3)), "higher").tolist() == [[1, 3]] * 3
    assert rank_intervals(np.zeros((1, 1)), np.ones((1, 1)), "lower").tolist() == [[1, 1]]


@given(st.integers(1, 7), st.integers(0, 10_000))
@settings(max_examples=50, deadline=None)
def test_rank_intervals_hold_the_observed_rank(k, seed):
    rng = np.random.default_rng(seed)
    values = rng.standard_normal(k)
    p = rng.random((k, k))
    ranks = rank_intervals(values[:, None] - values, np.minimum(p, p.T), "higher", alpha=0.5)
    observed = 1 + (values > values[:, None]).sum(axis=1)
    assert (ranks[:, 0] <= observed).all()
    assert (observed <= ranks[:, 1]).all()
