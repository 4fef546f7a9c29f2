"""How long measures of codes and messages take: 10,000 images, 10 codes, 10 factors of two values.

With ten values a factor the predictors take up to six times as long, `dci` ten times (docs/measures.md).
Run by `pytest benchmarks/test_code_measures.py`.
"""

import numpy as np
import pytest

from mfbench import measures


@pytest.fixture(scope="module")
def factors():
    return np.random.default_rng(0).integers(0, 2, (10_000, 10))


@pytest.fixture(scope="module")
def codes(factors):
    return factors + 0.3 * np.random.default_rng(1).standard_normal(factors.shape)


@pytest.mark.parametrize(
    "name",
    [
        "mutual_information_gap",
        "modularity",
        "separated_attribute_predictability",
        "explicitness",
        "infomec",
        "grid_accuracy",
        "factor_vae_score",
        "dci",
    ],
)
def test_of_codes(benchmark, name, codes, factors):
    rounds = 1 if name in ("dci", "infomec") else 3
    measure = getattr(measures, name)
    benchmark.pedantic(measure, (codes, factors), rounds=rounds, warmup_rounds=int(rounds > 1))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("topographic_similarity", {}),
        ("topographic_similarity", {"distance": "edit"}),
        ("positional_disentanglement", {}),
        ("bag_of_symbols_disentanglement", {}),
    ],
)
def test_of_messages(benchmark, name, options, codes, factors):
    symbols = np.rint(codes).astype(int)
    score = benchmark.pedantic(getattr(measures, name), (factors, symbols), options, rounds=1)
    assert -1 <= score <= 1


def test_total_correlation(benchmark, codes):
    assert benchmark(measures.gaussian_total_correlation, codes) >= 0
