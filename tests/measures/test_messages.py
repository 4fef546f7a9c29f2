"""Topographic similarity, posdis and bosdis by hand and against slow and plain computations."""

from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from scipy.stats import spearmanr

from mfbench.measures import (
    bag_of_symbols_disentanglement,
    positional_disentanglement,
    topographic_similarity,
)


def every_combination(values, count):
    return np.stack(np.meshgrid(*[np.arange(values)] * count), axis=-1).reshape(-1, count)


def edit_distance(a, b):
    """Levenshtein's recursion, as in the textbook."""
    table = np.zeros((len(a) + 1, len(b) + 1), dtype=int)
    table[:, 0], table[0] = np.arange(len(a) + 1), np.arange(len(b) + 1)
    for i, j in np.ndindex(len(a), len(b)):
        table[i + 1, j + 1] = min(table[i, j + 1] + 1, table[i + 1, j] + 1, table[i, j] + int(a[i] != b[j]))
    return table[-1, -1]


@pytest.mark.parametrize("values", [2, 5])
def test_a_perfect_code_is_as_topographic_as_can_be(values):
    factors = every_combination(values, 3)
    relabelled = np.array([4, -1, 7, 0, 2])[factors[:, [1, 2, 0]]]
    assert topographic_similarity(factors, relabelled) == pytest.approx(1, abs=1e-12)


def test_with_symbols_of_their_own_positions_cannot_be_shifted():
    factors = every_combination(3, 3)
    own = factors + np.array([0, 10, 20])
    assert topographic_similarity(factors, own, distance="edit") == pytest.approx(1, abs=1e-12)
    assert topographic_similarity(factors, factors, distance="edit") < 0.99


@pytest.mark.parametrize("distance", ["hamming", "edit"])
def test_equals_the_correlation_over_all_pairs(distance):
    rng = np.random.default_rng(0)
    factors = rng.integers(0, 4, (60, 3))
    symbols = np.concatenate([factors[:, :2], rng.integers(0, 4, (60, 3))], axis=1)
    between = edit_distance if distance == "edit" else lambda a, b: np.sum(a != b)
    apart = [
        (np.sum(factors[i] != factors[j]), between(symbols[i], symbols[j]))
        for i, j in combinations(range(60), 2)
    ]
    expected = spearmanr(*np.transpose(apart)).statistic
    assert topographic_similarity(factors, symbols, distance=distance) == pytest.approx(expected, abs=1e-12)


def test_by_hand_on_three_images():
    # distances of factors 1, 2, 1 (ranks 1.5, 3, 1.5), of messages 1, 1, 2 (ranks 1.5, 1.5, 3)
    assert topographic_similarity([[0, 0], [0, 1], [1, 1]], [[0, 0], [0, 1], [1, 0]]) == pytest.approx(-0.5)


def test_messages_at_random_have_no_topography():
    rng = np.random.default_rng(1)
    factors, symbols = rng.integers(0, 5, (1_000, 3)), rng.integers(0, 5, (1_000, 4))
    assert abs(topographic_similarity(factors, symbols)) < 0.01
    assert abs(topographic_similarity(factors, symbols, distance="edit")) < 0.01


def test_messages_that_never_change_score_nothing():
    factors, constant = every_combination(3, 2), np.full((9, 4), 5)
    assert topographic_similarity(factors, constant) == 0
    assert positional_disentanglement(factors, constant) == 0
    assert bag_of_symbols_disentanglement(factors, constant) == 0
    assert bag_of_symbols_disentanglement(factors, 0 * constant) == 0


def test_positions_by_hand():
    factors = every_combination(2, 2)
    first, second = factors.T
    of_one, of_both = first, 2 * first + second  # gaps 1 and 0
    constant = np.zeros(4, dtype=int)  # does not count
    assert positional_disentanglement(factors, np.stack([of_one, constant], axis=1)) == pytest.approx(1)
    messages = np.stack([of_one, of_both, constant], axis=1)
    assert positional_disentanglement(factors, messages) == pytest.approx(1 / 2, abs=1e-12)


def test_what_a_position_says_beside_the_factors_counts_against_it():
    # one bit of the first factor and one of chance: I = log 2, H = log 4
    factors = np.tile(every_combination(2, 2), (2, 1))
    chance = np.repeat([0, 1], 4)
    assert positional_disentanglement(factors, (2 * factors[:, 0] + chance)[:, None]) == pytest.approx(0.5)


def test_a_perfect_code_has_perfect_positions():
    factors = every_combination(4, 3)
    assert positional_disentanglement(factors, factors[:, [2, 1, 0]]) == pytest.approx(1, abs=1e-12)


def test_bags_by_hand_and_without_the_end():
    # 1 is said v_0 times and 2 v_1 times; the end fills up, and tells as much of both
    factors = every_combination(2, 2)
    messages = np.array([[1] * a + [2] * b + [0] * (2 - a - b) for a, b in factors])
    assert bag_of_symbols_disentanglement(factors, messages) == pytest.approx(1, abs=1e-12)
    assert bag_of_symbols_disentanglement(factors, messages, end=None) == pytest.approx(2 / 3, abs=1e-12)
    assert bag_of_symbols_disentanglement(factors, messages, end=1) == pytest.approx(1 / 2, abs=1e-12)


def test_the_order_of_symbols_does_not_matter_to_bags():
    rng = np.random.default_rng(2)
    factors = np.tile(every_combination(3, 2), (200, 1))
    words = np.stack([1 + factors[:, 0], 4 + factors[:, 1]], axis=1)
    shuffled = rng.permuted(words, axis=1)
    assert bag_of_symbols_disentanglement(factors, shuffled) == pytest.approx(1, abs=1e-12)
    assert positional_disentanglement(factors, shuffled) < 0.1
    assert positional_disentanglement(factors, words) == pytest.approx(1, abs=1e-12)


def entropy(values):
    shares = np.array(list(Counter(values).values())) / len(values)
    return float(-np.sum(shares * np.log2(shares)))


def mean_gap(factors, parts):
    """The definition of posdis in counts of tuples and bits."""
    gaps = []
    for part in parts.T.tolist():
        if entropy(part) > 0:
            told = sorted(
                entropy(part) + entropy(factor) - entropy(list(zip(part, factor)))
                for factor in factors.T.tolist()
            )
            gaps.append((told[-1] - told[-2]) / entropy(part))
    return np.mean(gaps)


def test_both_equal_their_definition_on_messages_at_random():
    rng = np.random.default_rng(3)
    factors = rng.integers(0, [2, 3, 5], (200, 3))
    symbols = np.where(rng.random((200, 4)) < 0.6, factors[:, [0, 1, 2, 2]], rng.integers(0, 5, (200, 4)))
    symbols[:, 0] = 1
    assert positional_disentanglement(factors, symbols) == pytest.approx(
        mean_gap(factors, symbols), abs=1e-12
    )
    counts = np.stack([(symbols == word).sum(axis=1) for word in range(1, 5)], axis=1)
    assert bag_of_symbols_disentanglement(factors, symbols) == pytest.approx(
        mean_gap(factors, counts), abs=1e-12
    )


def test_bad_requests_are_named():
    factors = every_combination(3, 2)
    with pytest.raises(ValueError, match="distance = 'cosine'"):
        topographic_similarity(factors, factors, distance="cosine")
    for measure in (positional_disentanglement, bag_of_symbols_disentanglement):
        with pytest.raises(ValueError, match="one factor cannot be told from others"):
            measure(factors[:, :1], factors)
