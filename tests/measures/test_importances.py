"""DCI: its entropies by hand, and boosted trees on codes whose importances are known."""

import numpy as np
import pytest

from mfbench.measures import DCI, dci
from mfbench.measures.importances import entropy_scores


def test_identity_is_perfect_and_uniform_is_nothing():
    assert entropy_scores(np.eye(4)) == pytest.approx((1, 1))
    assert entropy_scores(np.full((5, 3), 0.2)) == pytest.approx((0, 0))
    assert entropy_scores(np.zeros((5, 3))) == (0, 0)


def test_duplicated_codes_are_disentangled_and_incomplete():
    importance = np.repeat(np.eye(2), 2, axis=0) / 2  # four codes, two for each factor
    assert entropy_scores(importance) == pytest.approx((1, 1 - np.log(2) / np.log(4)))


def test_one_code_for_all_is_complete_and_entangled():
    importance = np.zeros((3, 3))
    importance[1] = 1
    assert entropy_scores(importance) == pytest.approx((0, 1))


def test_weights_by_hand():
    # code 0: shares 3/4, 1/4 of importance 4/3; code 1: 0, 1 of 2/3
    importance = np.array([[1.0, 1 / 3], [0.0, 2 / 3]])
    entropy = -(0.75 * np.log2(0.75) + 0.25 * np.log2(0.25))
    between = -(np.log2(1 / 3) / 3 + 2 * np.log2(2 / 3) / 3)
    expected = ((1 - entropy) * 2 / 3 + 1 / 3, (1 + (1 - between)) / 2)
    assert entropy_scores(importance) == pytest.approx(expected)


def factors_of(count, seed=0):
    return np.random.default_rng(seed).integers(0, 3, (count, 2))


def test_trees_find_a_perfect_code_perfect():
    factors = factors_of(600)
    score = dci(factors[:, ::-1] * 10.0, factors)
    assert isinstance(score, DCI)
    assert (score.disentanglement, score.completeness, score.informativeness) == pytest.approx((1, 1, 1))
    np.testing.assert_allclose(score.importance, np.eye(2)[::-1], atol=1e-9)


def test_trees_share_the_importance_of_duplicates():
    factors = factors_of(600)
    score = dci(np.concatenate([factors, factors], axis=1), factors)
    assert score.disentanglement == pytest.approx(1)
    assert score.informativeness == pytest.approx(1)
    assert 0.4 < score.completeness < 0.8
    assert (score.importance[[0, 2], [0, 0]] > 0.1).all()


def test_trees_find_nothing_in_noise_and_little_in_a_rotation():
    factors = factors_of(1_200)
    rng = np.random.default_rng(1)
    nothing = dci(rng.standard_normal((1_200, 3)), factors)
    assert nothing.disentanglement < 0.05
    assert nothing.completeness < 0.05
    assert nothing.informativeness == pytest.approx(1 / 3, abs=0.08)
    turned = dci(factors @ [[1.0, 1.0], [-1.0, 1.0]], factors)
    assert turned.disentanglement < 0.2
    assert turned.informativeness == pytest.approx(1)


def test_informativeness_is_measured_on_held_out_samples():
    # labels at random: trees learn by heart, and guess where they have not learnt
    rng = np.random.default_rng(2)
    factors = rng.integers(0, 2, (240, 2))
    assert dci(rng.standard_normal((240, 4)), factors).informativeness < 0.7


def test_the_same_every_time():
    factors = factors_of(150)
    codes = factors + np.random.default_rng(3).standard_normal((150, 2))
    first, second = dci(codes, factors), dci(codes, factors)
    assert first == second
    np.testing.assert_array_equal(first.importance, second.importance)
    assert dci(codes, factors, rng=np.random.default_rng(9)) != first
