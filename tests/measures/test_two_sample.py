"""The classifier two-sample test: chance for equal sets, power for different ones, honest p-values."""

import numpy as np
import pytest
import torch

from mfbench.measures import c2st


def test_different_sets_are_told_apart():
    rng = np.random.default_rng(0)
    result = c2st(rng.standard_normal((400, 2)) + 3, rng.standard_normal((400, 2)), rng=rng)
    assert result.accuracy > 0.95
    assert result.p_value < 1e-6
    assert result.n == 400


def test_p_values_of_equal_sets_are_honest():
    rng = np.random.default_rng(1)
    p_values = np.array([c2st(*rng.standard_normal((2, 60, 1)), rng=rng).p_value for _ in range(60)])
    assert np.mean(p_values <= 0.1) <= 0.1 + 3 * np.sqrt(0.1 * 0.9 / 60)
    assert 0.4 < p_values.mean() < 0.75  # discrete, so a little above uniform


def test_p_is_the_share_of_label_permutations(monkeypatch):
    rng = np.random.default_rng(2)
    from sklearn.ensemble import HistGradientBoostingClassifier

    said = rng.random(40) < 0.5
    monkeypatch.setattr(HistGradientBoostingClassifier, "predict", lambda self, x: said)
    result = c2st(rng.standard_normal((40, 1)), rng.standard_normal((40, 1)), rng=rng)
    truth = np.arange(40) < 20
    assert result.accuracy == np.mean(said == truth)
    permuted = [np.mean(said == rng.permutation(truth)) >= result.accuracy for _ in range(20_000)]
    assert result.p_value == pytest.approx(np.mean(permuted), abs=0.015)


def test_sizes_are_balanced_so_that_chance_is_one_half():
    rng = np.random.default_rng(3)
    result = c2st(rng.standard_normal((2000, 1)), rng.standard_normal((100, 1)), rng=rng)
    assert result.n == 100
    assert 0.3 < result.accuracy < 0.7


def test_the_same_generator_gives_the_same_result():
    x, y = torch.randn(2, 100, 2, generator=torch.Generator().manual_seed(0))
    first, second = (c2st(x, y, rng=torch.Generator().manual_seed(7)) for _ in range(2))
    assert first == second
    assert first != c2st(x, y, rng=torch.Generator().manual_seed(8))
