"""MIG and modularity by hand, by an independent formula, and on codes whose values are known."""

import numpy as np
import pytest
import torch

from mfbench.measures import modularity, mutual_information_gap
from mfbench.measures.factors import histogram_bins, mutual_information


def every_combination(values, count, copies=4):
    """All combinations of `count` factors of so many values: exactly independent."""
    grid = np.stack(np.meshgrid(*[np.arange(values)] * count, indexing="ij"), axis=-1).reshape(-1, count)
    return np.tile(grid, (copies, 1))


def entropy(shares):
    shares = np.asarray(shares, dtype=float).ravel()
    return -sum(p * np.log(p) for p in shares if p > 0)


def test_a_perfect_code_has_all_of_the_gap_however_scaled_and_permuted():
    factors = every_combination(5, 3)
    codes = -3.7 * factors[:, [2, 0, 1]] + 11
    assert mutual_information_gap(codes, factors) == pytest.approx(1, abs=1e-12)
    assert modularity(codes, factors) == pytest.approx(1, abs=1e-12)


def test_duplicated_codes_have_no_gap_and_are_modular():
    factors = every_combination(4, 2)
    twice = np.concatenate([factors, 1 - 2 * factors], axis=1)
    assert mutual_information_gap(twice, factors) == pytest.approx(0, abs=1e-12)
    assert modularity(twice, factors) == pytest.approx(1, abs=1e-12)


def test_independent_codes_have_no_gap():
    rng = np.random.default_rng(0)
    factors = rng.integers(0, 6, (10_000, 4))
    assert mutual_information_gap(rng.standard_normal((10_000, 4)), factors) < 0.002


def test_a_rotation_by_45_degrees_has_nearly_no_gap():
    factors = np.random.default_rng(1).integers(0, 10, (10_000, 2))
    rotation = np.array([[1.0, 1.0], [-1.0, 1.0]]) / np.sqrt(2)
    assert mutual_information_gap(factors @ rotation, factors) < 0.02
    assert modularity(factors @ rotation, factors) < 0.02
    assert mutual_information_gap(factors, factors) > 0.98


def test_the_gap_by_hand():
    # the first code is the factor, the second agrees with it three times in four: I = log 2 - h(1/4)
    factor = np.repeat([0, 1], 400)
    copy = np.where(np.arange(800) % 4 == 0, 1 - factor, factor)
    codes = np.stack([factor, copy], axis=1)
    expected = entropy([0.25, 0.75]) / np.log(2)
    assert mutual_information_gap(codes, factor[:, None]) == pytest.approx(expected, abs=1e-12)


def test_modularity_by_hand():
    factors = every_combination(2, 3)
    one = factors[:, 0]
    two = 2 * factors[:, 0] + factors[:, 1]  # tells as much of both: 1 - 1 / (3 - 1)
    constant = np.full(len(factors), 0.1)  # 0
    assert modularity(np.stack([one, two, constant], axis=1), factors) == pytest.approx(1.5 / 3, abs=1e-12)


def test_both_equal_an_independent_computation_from_two_dimensional_histograms():
    rng = np.random.default_rng(2)
    factors = rng.integers(0, [2, 5, 7], (500, 3))
    codes = np.concatenate([factors @ rng.standard_normal((3, 3)), np.ones((500, 1))], axis=1)
    codes[:, :3] += 0.5 * rng.standard_normal((500, 3))
    information, entropies = np.zeros((4, 3)), []
    for j, factor in enumerate(factors.T):
        entropies.append(entropy(np.bincount(factor) / 500))
        for i, code in enumerate(codes.T):
            joint = np.histogram2d(code, factor, bins=[20, np.arange(factor.max() + 2) - 0.5])[0] / 500
            information[i, j] = entropy(joint.sum(0)) + entropy(joint.sum(1)) - entropy(joint)
    best = np.sort(information, axis=0)
    assert mutual_information_gap(codes, factors) == pytest.approx(
        np.mean((best[-1] - best[-2]) / entropies), abs=1e-12
    )
    square = information[:3] ** 2
    modular = 1 - (square.sum(1) - square.max(1)) / (2 * square.max(1))
    assert modularity(codes, factors) == pytest.approx(modular.sum() / 4, abs=1e-12)


def test_information_of_nothing_has_the_bias_that_the_docstring_states():
    rng = np.random.default_rng(3)
    factors = rng.integers(0, 4, (2_000, 50))
    noise = histogram_bins(rng.uniform(size=(2_000, 20)))
    assert mutual_information(noise, factors).mean() == pytest.approx(19 * 3 / (2 * 2_000), rel=0.05)


def test_histograms_are_those_of_numpy():
    codes = np.random.default_rng(4).standard_normal((300, 2))
    for column, binned in zip(codes.T, histogram_bins(codes, 7).T):
        np.testing.assert_array_equal(np.bincount(binned, minlength=7), np.histogram(column, 7)[0])
    on_edges = np.arange(11.0)
    assert histogram_bins(on_edges[:, None], 5)[:, 0].tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 4]


@pytest.mark.parametrize("offset", [0.0, 0.1, 1e17])
def test_codes_that_collapsed_to_a_point_or_nearly_are_no_trouble(offset):
    factors = every_combination(3, 2)
    collapsed = np.full(len(factors), offset)
    collapsed[0] = np.nextafter(offset, np.inf)
    codes = np.stack([factors[:, 0], factors[:, 1], collapsed], axis=1)
    assert mutual_information_gap(codes, factors) > 0.9


def test_tensors_of_any_type_are_measured():
    factors = torch.tensor(every_combination(3, 2))
    codes = factors.to(torch.float32).requires_grad_()
    assert mutual_information_gap(codes, factors.to(torch.uint8)) == pytest.approx(1)


def test_more_bins_hold_more_values():
    factors = every_combination(30, 2, copies=1)
    assert mutual_information_gap(factors, factors) < 0.9  # 20 bins cannot tell 30 values apart
    assert mutual_information_gap(factors, factors, bins=30) == pytest.approx(1, abs=1e-12)
