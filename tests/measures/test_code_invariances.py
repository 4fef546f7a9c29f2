"""What no measure of codes or messages may depend on, and the range that each must keep to."""

import numpy as np
import pytest

from mfbench import measures


def told(count=400, seed=0):
    """Factors (n, 3), codes (n, 4) that tell of them with noise, and the same rounded."""
    rng = np.random.default_rng(seed)
    factors = rng.integers(0, [2, 3, 4], (count, 3))
    codes = factors @ rng.standard_normal((3, 4)) + 0.5 * rng.standard_normal((count, 4))
    return factors, codes, np.rint(codes).astype(int)


OF_CODES = {
    "mig": measures.mutual_information_gap,
    "modularity": measures.modularity,
    "sap": measures.separated_attribute_predictability,
    "explicitness": measures.explicitness,
    "axes": measures.grid_accuracy,
    "cells": lambda codes, factors: measures.grid_accuracy(codes, factors, by="cells"),
    "infom": lambda codes, factors: measures.infomec(codes, factors).modularity,
    "infoe": lambda codes, factors: measures.infomec(codes, factors).explicitness,
    "infoc": lambda codes, factors: measures.infomec(codes, factors).compactness,
}
OF_MESSAGES = {
    "topographic": measures.topographic_similarity,
    "edit": lambda factors, symbols: measures.topographic_similarity(factors, symbols, distance="edit"),
    "posdis": measures.positional_disentanglement,
    "bosdis": lambda factors, symbols: measures.bag_of_symbols_disentanglement(factors, symbols, end=None),
}


@pytest.mark.parametrize("name", OF_CODES)
def test_the_order_of_codes_and_factors_does_not_matter_to_measures_of_codes(name):
    factors, codes, _ = told()
    value = OF_CODES[name](codes, factors)
    assert OF_CODES[name](codes[:, [3, 1, 0, 2]], factors[:, [2, 0, 1]]) == pytest.approx(value, abs=1e-4)


@pytest.mark.parametrize("name", ["mig", "modularity", "explicitness", "axes", "cells", "infom", "infoc"])
def test_the_names_of_values_do_not_matter(name):
    factors, codes, _ = told()
    renamed = np.array([7, -3, 100, 2])[factors]
    assert OF_CODES[name](codes, renamed) == pytest.approx(OF_CODES[name](codes, factors), abs=1e-4)


@pytest.mark.parametrize("name", ["mig", "modularity", "explicitness", "infoe"])
def test_the_scale_of_codes_does_not_matter(name):
    factors, codes, _ = told()
    scaled = codes * 2.0 ** np.array([-8, 3, 0, 11]) + np.array([0, 1024, -16, 4])
    assert OF_CODES[name](scaled, factors) == pytest.approx(OF_CODES[name](codes, factors), abs=1e-3)


@pytest.mark.parametrize("name", ["topographic", "posdis", "bosdis"])
def test_neither_order_nor_names_matter_to_measures_of_messages(name):
    factors, _, symbols = told(150)
    value = OF_MESSAGES[name](factors, symbols)
    renamed = np.array([7, -3, 100, 2])[factors[:, [2, 0, 1]]]
    assert OF_MESSAGES[name](renamed, 5 - 2 * symbols[:, [3, 1, 0, 2]]) == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_all_keep_to_their_ranges(seed):
    rng = np.random.default_rng(seed)
    factors, codes, symbols = told(60, seed)
    codes[:, seed % 4] = 0.3
    noise = rng.standard_normal(codes.shape)
    for measure in OF_CODES.values():
        for given in (codes, noise, symbols):
            assert -1e-9 <= measure(given, factors) <= 1 + 1e-9
    for measure in OF_MESSAGES.values():
        for given in (symbols, rng.integers(0, 3, symbols.shape)):
            assert -1 <= measure(factors, given) <= 1 + 1e-9
    score = measures.dci(codes, factors)
    assert all(
        0 <= value <= 1 for value in (score.disentanglement, score.completeness, score.informativeness)
    )
    few = {"votes": 200, "held_out_votes": 100}
    assert 0 <= measures.factor_vae_score(codes, factors, **few) <= 1
    assert measures.gaussian_total_correlation(codes) >= 0


def test_no_measure_changes_what_it_is_given():
    factors, codes, symbols = told(60)
    kept = factors.copy(), codes.copy(), symbols.copy()
    for measure in OF_CODES.values():
        measure(codes, factors)
    for measure in OF_MESSAGES.values():
        measure(factors, symbols)
    measures.factor_vae_score(codes, factors, votes=50, held_out_votes=50)
    for before, after in zip(kept, (factors, codes, symbols)):
        np.testing.assert_array_equal(before, after)
