"""What every measure of codes or messages against factors refuses, and how it says so."""

import numpy as np
import pytest

from mfbench import measures

OF_CODES = [
    measures.mutual_information_gap,
    measures.modularity,
    measures.separated_attribute_predictability,
    measures.explicitness,
    measures.dci,
    measures.infomec,
    measures.grid_accuracy,
    measures.factor_vae_score,
]
OF_MESSAGES = [
    measures.topographic_similarity,
    measures.positional_disentanglement,
    measures.bag_of_symbols_disentanglement,
]


@pytest.fixture
def factors():
    return np.random.default_rng(0).integers(0, 2, (30, 2))


def measured(measure, codes, factors):
    """Messages come after the factors, codes before them."""
    return measure(factors, codes) if measure in OF_MESSAGES else measure(codes, factors)


@pytest.mark.parametrize("measure", OF_CODES + OF_MESSAGES)
def test_factors_that_are_wrong_are_named(measure, factors):
    with pytest.raises(ValueError, match="factors must be integers of shape"):
        measured(measure, factors, factors[:, 0])
    with pytest.raises(ValueError, match="factors must be integers of shape"):
        measured(measure, factors[:0], factors[:0])
    with pytest.raises(ValueError, match=r"factors must be integers: column 1 holds 0\.25"):
        measured(measure, factors, factors - [0, 0.75])
    with pytest.raises(ValueError, match=r"factors must be integers: column 0 holds 1e\+300"):
        measured(measure, factors, factors * [1e300, 1])
    with pytest.raises(ValueError, match="factors must be integers: column 0 holds nan"):
        measured(measure, factors, np.where(factors > 0, np.nan, factors))
    with pytest.raises(ValueError, match="factor 1 is 3 in all 30 samples"):
        measured(measure, factors, np.stack([factors[:, 0], np.full(30, 3)], axis=1))
    with pytest.raises(ValueError, match="one row an image, not 29 and 30"):
        measured(measure, factors[:-1], factors)


@pytest.mark.parametrize("measure", OF_CODES)
def test_codes_that_are_wrong_are_named(measure, factors):
    with pytest.raises(ValueError, match="codes must be finite"):
        measure(np.where(factors > 0, np.inf, factors), factors)
    with pytest.raises(ValueError, match=r"codes must have shape \(n, d\)"):
        measure(factors[:, 0], factors)


@pytest.mark.parametrize("measure", OF_MESSAGES)
def test_messages_must_be_integers(measure, factors):
    with pytest.raises(ValueError, match="symbols must be integers: column 0 holds"):
        measure(factors, factors + 0.5)


@pytest.mark.parametrize(
    "measure", [measures.mutual_information_gap, measures.separated_attribute_predictability, measures.dci]
)
def test_a_gap_needs_two_codes(measure, factors):
    with pytest.raises(ValueError, match=r"\(n, d\) with d >= 2, not \(30, 1\)"):
        measure(factors[:, :1], factors)


@pytest.mark.parametrize(
    "measure", [measures.modularity, measures.dci, measures.infomec, measures.factor_vae_score]
)
def test_telling_factors_apart_needs_two(measure, factors):
    with pytest.raises(ValueError, match=r"\(n, k\) with k >= 2, not \(30, 1\)"):
        measure(factors, factors[:, :1])


@pytest.mark.parametrize(
    "measure", [measures.separated_attribute_predictability, measures.explicitness, measures.dci]
)
def test_predictors_need_both_values_to_learn_from(measure):
    with pytest.raises(ValueError, match="2 samples: three or more"):
        measure(np.eye(2), np.eye(2))
    rare = np.zeros((90, 2), dtype=int)
    rare[::2, 1] = 1
    from mfbench.measures.factors import held_out

    rare[held_out(90, np.arange(90)[:, None], None)[1][0], 0] = 1
    with pytest.raises(ValueError, match="factor 0 has one value among the 60 samples to learn from"):
        measure(np.random.default_rng(1).standard_normal((90, 2)), rare)


@pytest.mark.parametrize("measure", [measures.mutual_information_gap, measures.modularity])
def test_a_histogram_needs_two_bins(measure, factors):
    with pytest.raises(ValueError, match="bins = 1"):
        measure(factors, factors, bins=1)
