"""SAP and explicitness on codes whose accuracy and ROC curve are known."""

import numpy as np
import pytest
from scipy.special import ndtr

from mfbench.measures import explicitness, separated_attribute_predictability


def binary(count, factors, seed=0):
    return np.random.default_rng(seed).integers(0, 2, (count, factors))


def test_a_perfect_code_is_better_than_guessing_by_a_half():
    factors = binary(6_000, 3)
    assert separated_attribute_predictability(factors, factors) == pytest.approx(0.5, abs=0.03)


def test_duplicated_and_independent_codes_have_no_gap():
    factors = binary(6_000, 2)
    twice = np.concatenate([factors, factors], axis=1)
    assert separated_attribute_predictability(twice, factors) == 0
    noise = np.random.default_rng(1).standard_normal((6_000, 4))
    assert separated_attribute_predictability(noise, factors) < 0.03


def test_a_noisy_code_has_the_gap_of_its_bayes_accuracies():
    # means 0 and 1: the threshold at 1/2 is right with probability Phi(1 / (2 sigma))
    rng = np.random.default_rng(2)
    factors = binary(30_000, 1)
    codes = factors + rng.standard_normal((30_000, 2)) * [0.5, 1.0]
    expected = ndtr(1 / (2 * 0.5)) - ndtr(1 / (2 * 1.0))
    assert separated_attribute_predictability(codes, factors) == pytest.approx(expected, abs=0.015)


def test_a_rotation_by_45_degrees_has_nearly_no_gap():
    factors = binary(9_000, 2)
    assert separated_attribute_predictability(factors @ [[1.0, 1.0], [-1.0, 1.0]], factors) < 0.03


def test_values_in_the_middle_are_not_cut_out_by_a_line():
    factors = np.random.default_rng(3).integers(0, 5, (6_000, 2))
    gap = separated_attribute_predictability(factors, factors)
    assert 0.1 < gap < 0.5  # a table of the five values would have 4/5


def test_the_split_is_fixed_or_drawn():
    rng = np.random.default_rng(4)
    factors = binary(300, 2)
    codes = factors + rng.standard_normal((300, 2))
    for measure in (separated_attribute_predictability, explicitness):
        assert measure(codes, factors) == measure(codes, factors)
        drawn = {measure(codes, factors, rng=np.random.default_rng(seed)) for seed in range(4)}
        assert len(drawn) > 1
        assert measure(codes, factors, rng=np.random.default_rng(7)) == measure(
            codes, factors, rng=np.random.default_rng(7)
        )


def test_explicitness_is_the_area_under_the_roc_curve():
    # scores N(0, 1) and N(1, 1): the area is Phi(1 / sqrt 2)
    rng = np.random.default_rng(5)
    factors = binary(30_000, 1)
    codes = factors + rng.standard_normal((30_000, 1))
    assert explicitness(codes, factors) == pytest.approx(ndtr(1 / np.sqrt(2)), abs=0.01)


def test_explicitness_of_perfect_rotated_and_independent_codes():
    factors = binary(3_000, 2)
    turned = factors @ [[0.8, 0.6], [-0.6, 0.8]]
    assert explicitness(factors, factors) == pytest.approx(1)
    assert explicitness(turned, factors) == pytest.approx(1)
    assert explicitness(np.random.default_rng(6).standard_normal((3_000, 2)), factors) == pytest.approx(
        0.5, abs=0.04
    )


def test_explicitness_does_not_depend_on_scale_and_bears_dead_codes():
    rng = np.random.default_rng(7)
    factors = rng.integers(0, 3, (1_500, 2))
    codes = factors + 0.5 * rng.standard_normal((1_500, 2))
    dead = np.concatenate([codes * [1e-4, 1e4], np.full((1_500, 1), 3.0)], axis=1)
    assert explicitness(dead, factors) == pytest.approx(explicitness(codes, factors), abs=1e-4)


def test_explicitness_is_measured_on_held_out_samples():
    # as many codes of noise as samples: the regression learns them by heart
    factors = binary(120, 1)
    noise = np.random.default_rng(9).standard_normal((120, 80))
    assert explicitness(noise, factors) == pytest.approx(0.5, abs=0.2)


def test_a_value_that_is_not_held_out_is_left_out_of_explicitness():
    factors = np.append(binary(500, 1), [[2]], axis=0)
    assert explicitness(factors.astype(float), factors) == pytest.approx(1, abs=0.01)


def test_a_factor_that_is_constant_among_the_held_out_is_named():
    factors = np.zeros((60, 1), dtype=int)
    from mfbench.measures.factors import held_out

    learn, _ = held_out(60, np.arange(60)[:, None], None)
    factors[learn[:5]] = 1
    with pytest.raises(ValueError, match="factor 0 has one value among the 20 held-out"):
        explicitness(np.random.default_rng(8).standard_normal((60, 2)), factors)
