"""InfoMEC on codes whose information is known."""

import numpy as np
import pytest
from scipy.special import digamma
from sklearn.feature_selection import mutual_info_classif

from mfbench.measures import InfoMEC, infomec
from mfbench.measures.factors import entropies


def every_combination(values, count, copies=20):
    grid = np.stack(np.meshgrid(*[np.arange(values)] * count), axis=-1).reshape(-1, count)
    return np.tile(grid, (copies, 1))


def test_a_perfect_discrete_code():
    factors = every_combination(3, 3)
    score = infomec(factors[:, [1, 2, 0]], factors, discrete=True)
    assert isinstance(score, InfoMEC)
    assert (score.modularity, score.compactness) == pytest.approx((1, 1), abs=1e-9)
    assert score.explicitness == pytest.approx(1, abs=1e-3)
    np.testing.assert_allclose(score.information, np.eye(3)[[1, 2, 0]], atol=1e-12)


def test_a_perfect_continuous_code():
    rng = np.random.default_rng(0)
    factors = rng.integers(0, 2, (2_000, 2))
    score = infomec(factors + 0.05 * rng.standard_normal((2_000, 2)), factors)
    assert score.modularity > 0.97
    assert score.compactness > 0.97
    assert score.explicitness == pytest.approx(1, abs=1e-3)


def test_duplicates_are_modular_and_not_compact():
    factors = every_combination(3, 2)
    score = infomec(np.concatenate([factors, factors], axis=1), factors, discrete=True)
    assert score.modularity == pytest.approx(1, abs=1e-9)
    assert score.compactness == pytest.approx((1 / 2 - 1 / 4) / (1 - 1 / 4), abs=1e-9)


def test_one_code_for_all_is_not_modular():
    factors = every_combination(2, 2)
    together = np.stack([2 * factors[:, 0] + factors[:, 1], np.zeros(len(factors))], axis=1)
    score = infomec(together, factors, discrete=True)
    assert score.modularity == pytest.approx(0, abs=1e-9)
    assert score.explicitness == pytest.approx(1, abs=1e-3)
    assert score.active.tolist() == [True, False]
    assert score.compactness == 0  # a single active code


def test_explicitness_is_predictive_information():
    # a channel that is right three times in four: I = log 2 - h(1/4)
    factors = every_combination(2, 2, copies=100)
    wrong = np.arange(400)[:, None] // 4 % 4 == 0
    score = infomec(np.where(wrong, 1 - factors, factors), factors, discrete=True)
    entropy = -(0.25 * np.log2(0.25) + 0.75 * np.log2(0.75))
    assert score.explicitness == pytest.approx(1 - entropy, abs=1e-4)


def test_explicitness_of_a_rare_value_that_nothing_tells_is_nothing():
    rng = np.random.default_rng(1)
    factors = (rng.random((4_000, 2)) < 0.03).astype(int)
    score = infomec(rng.standard_normal((4_000, 2)), factors)
    assert score.explicitness == pytest.approx(0, abs=0.01)


def test_continuous_information_is_that_of_a_gaussian_channel():
    # I(c; v) of v + sigma N, v fair in {0, 1}, by quadrature
    rng = np.random.default_rng(2)
    factors = rng.integers(0, 2, (5_000, 2))
    score = infomec(factors + 0.4 * rng.standard_normal((5_000, 2)), factors)
    x = np.linspace(-4, 5, 20_001)
    density = [np.exp(-((x - m) ** 2) / (2 * 0.16)) / np.sqrt(2 * np.pi * 0.16) for m in (0, 1)]
    mixture = (density[0] + density[1]) / 2
    information = sum(np.trapezoid(d * np.log(d / mixture), x) for d in density) / 2
    np.testing.assert_allclose(np.diag(score.information), information / np.log(2), atol=0.03)
    np.testing.assert_allclose(score.information[[0, 1], [1, 0]], 0, atol=0.02)


def test_collapsed_codes_do_not_count():
    rng = np.random.default_rng(3)
    factors = rng.integers(0, 2, (500, 2))
    codes = np.concatenate([factors + 0.05 * rng.standard_normal((500, 2)), 1e-3 * factors], axis=1)
    score = infomec(codes, factors)
    assert score.active.tolist() == [True, True, False, False]
    assert score.compactness > 0.9
    dead = infomec(np.zeros((500, 2)), factors)
    assert (dead.modularity, dead.compactness) == (0, 0)
    assert dead.explicitness == pytest.approx(0, abs=1e-3)


def test_the_same_every_time():
    rng = np.random.default_rng(4)
    factors = rng.integers(0, 3, (300, 2))
    codes = np.rint(factors + rng.standard_normal((300, 2)))  # with ties
    assert infomec(codes, factors) == infomec(codes, factors)
    assert infomec(codes, factors, rng=np.random.default_rng(5)) == infomec(
        codes, factors, rng=np.random.default_rng(5)
    )


def test_discrete_codes_must_be_integers():
    factors = every_combination(2, 2)
    with pytest.raises(ValueError, match=r"codes must be integers: column 0 holds 0\.5"):
        infomec(factors + 0.5, factors, discrete=True)


def ross(code, factor, k=10):
    """The estimate of Ross (2014) from all distances: who has a label alone is left out."""
    common = np.array([np.count_nonzero(factor == label) > 1 for label in factor])
    code, factor = code[common], factor[common]
    total = 0.0
    for i, (x, label) in enumerate(zip(code, factor)):
        apart = np.abs(np.delete(code, i) - x)
        same = np.sort(apart[np.delete(factor, i) == label])
        near = min(k, len(same))
        around = np.count_nonzero(apart < same[near - 1])  # nearer than the k-th of its label
        total += digamma(near) - digamma(len(same) + 1) - digamma(around + 1)
    return max(0.0, digamma(len(code)) + total / len(code))


def test_information_is_ross_estimate_and_that_of_scikit_learn():
    rng = np.random.default_rng(1)
    factors = np.stack([rng.integers(0, 3, 200), rng.integers(0, 2, 200)], axis=1)
    factors[0, 0] = 7  # nobody else has it
    codes = factors @ rng.standard_normal((2, 3)) + 0.3 * rng.standard_normal((200, 3))
    found = infomec(codes, factors).information * entropies(factors)
    by_hand = [[ross(code, factor) for factor in factors.T] for code in codes.T]
    np.testing.assert_allclose(found, by_hand, atol=1e-12)
    library = [mutual_info_classif(codes, factor, n_neighbors=10, random_state=0) for factor in factors.T]
    np.testing.assert_allclose(found, np.stack(library, axis=1), atol=1e-9)
