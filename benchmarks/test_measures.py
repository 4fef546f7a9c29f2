"""How long measures take: pytest benchmarks/test_measures.py."""

import numpy as np
import pytest

from mfbench.measures import delong, energy_distance, paired_difference, paired_t_matrix


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_auroc_with_interval_on_a_million_scores(benchmark, rng):
    scores_in, scores_out = rng.standard_normal(500_000) + 1, rng.standard_normal(500_000)
    interval = benchmark(delong, scores_in, scores_out)
    assert interval.low < interval.value < interval.high


def test_energy_distance_of_ten_thousand_points(benchmark, rng):
    x, y = rng.standard_normal((2, 10_000, 2))
    assert abs(benchmark.pedantic(energy_distance, (x, y), rounds=3)) < 0.01


def test_paired_difference_of_three_seeds_of_five_thousand(benchmark, rng):
    scores = rng.standard_normal((2, 3, 5_000))
    a, b = ([(float(s.mean()), {"examples": s}) for s in method] for method in scores)
    assert 0 <= benchmark(paired_difference, a, b, rng).p_value <= 1


def test_seed_paired_t_of_a_thousand_methods(benchmark, rng):
    values = rng.standard_normal((1000, 5))
    assert benchmark(paired_t_matrix, values)[0].shape == (1000, 1000)
