"""FactorVAE's score where the votes are known, from given images and from a sampler."""

import numpy as np
import pytest
import torch

from mfbench.measures import factor_vae_score


def uniform(count, factors, values=10, seed=0):
    return np.random.default_rng(seed).integers(0, values, (count, factors))


def test_a_perfect_code_is_always_told_whatever_its_scale_and_order():
    factors = uniform(2_000, 3)
    codes = factors[:, [2, 0, 1]] * [0.1, 50.0, 3.0]
    assert factor_vae_score(codes, factors) == 1


def test_duplicated_codes_do_no_harm():
    factors = uniform(2_000, 2)
    assert factor_vae_score(np.concatenate([factors, factors], axis=1), factors) == 1


def test_noise_is_told_by_guessing():
    factors = uniform(5_000, 4)
    noise = np.random.default_rng(1).standard_normal((5_000, 4))
    assert factor_vae_score(noise, factors) == pytest.approx(1 / 4, abs=0.03)


def test_what_is_learnt_is_tested_on_other_votes():
    factors = uniform(2_000, 4)
    noise = np.random.default_rng(7).standard_normal((2_000, 4))
    scores = [
        factor_vae_score(noise, factors, rng=np.random.default_rng(seed), votes=20, held_out_votes=20)
        for seed in range(100)
    ]
    assert np.mean(scores) == pytest.approx(1 / 4, abs=0.04)  # 0.49 on the votes that it learnt from


def test_a_rotation_by_45_degrees_is_told_by_guessing():
    factors = uniform(5_000, 2)
    assert factor_vae_score(factors @ [[1.0, 1.0], [-1.0, 1.0]], factors) == pytest.approx(0.5, abs=0.03)


def test_a_factor_that_no_code_tells_is_right_every_other_time():
    # the first factor always gets its code's vote, the second that of either code, of which one is taken
    factors = uniform(5_000, 2)
    codes = np.stack([factors[:, 0], uniform(5_000, 1, seed=2)[:, 0]], axis=1)
    assert factor_vae_score(codes, factors) == pytest.approx(0.75, abs=0.02)


def test_collapsed_codes_do_not_vote():
    factors = uniform(1_000, 2)
    noise = 1e-3 * np.random.default_rng(3).standard_normal((1_000, 1))
    with_dead = np.concatenate([factors, noise, np.zeros((1_000, 1))], axis=1)
    assert factor_vae_score(with_dead, factors) == 1
    assert factor_vae_score(np.zeros((1_000, 3)), factors) == 0
    assert factor_vae_score(1e-3 * factors, factors) == 0
    assert factor_vae_score(1e-3 * factors, factors, least_deviation=0.0) == 1


def render(fixed, size, rng):
    """Codes of images drawn on demand: one tells the first factor with noise, the other is the second."""
    factors = rng.integers(0, 10, (len(fixed), size, 2))
    chosen = factors[np.arange(len(fixed)), 0, fixed]
    factors[np.arange(len(fixed)), :, fixed] = chosen[:, None]
    return torch.tensor(factors + rng.standard_normal(factors.shape) * [6.0, 0.0])


def test_a_sampler_agrees_with_images_that_are_there():
    rng = np.random.default_rng(4)
    factors = uniform(20_000, 2)
    codes = factors + rng.standard_normal(factors.shape) * [6.0, 0.0]
    drawn = factor_vae_score(codes, factors, sample=render, batch_size=8)
    assert 0.6 < drawn < 0.98
    assert factor_vae_score(codes, factors, batch_size=8) == pytest.approx(drawn, abs=0.03)


def test_a_sampler_is_asked_for_all_votes_and_told_when_its_codes_are_wrong():
    factors = uniform(200, 2)
    asked = []

    def record(fixed, size, rng):
        asked.extend([size] * len(fixed))
        return render(fixed, size, rng)

    factor_vae_score(factors, factors, sample=record, votes=300, held_out_votes=200, batch_size=16)
    assert asked == [16] * 500
    with pytest.raises(
        ValueError, match=r"the sampler gave codes \(64, 63, 2\) where \(64, 64, 2\) are right"
    ):
        factor_vae_score(factors, factors, sample=lambda fixed, size, rng: render(fixed, size - 1, rng))


def test_batches_share_the_value_of_their_factor_and_nothing_else():
    from mfbench.measures.votes import _Table

    factors = uniform(500, 3, values=4)
    fixed = np.array([0, 1, 2, 1] * 20)
    batches = _Table(factors.astype(float), factors)(fixed, 64, np.random.default_rng(5))
    for factor, batch in zip(fixed, batches):
        assert [np.ptp(column) == 0 for column in batch.T] == [j == factor for j in range(3)]


def test_the_same_every_time_and_by_the_generator():
    factors = uniform(500, 4)
    codes = factors + 8 * np.random.default_rng(6).standard_normal((500, 4))
    assert factor_vae_score(codes, factors) == factor_vae_score(codes, factors)
    seeds = [factor_vae_score(codes, factors, rng=torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)]
    assert seeds[0] == seeds[1] != seeds[2]


def test_bad_requests_are_named():
    factors = uniform(100, 2)
    with pytest.raises(ValueError, match="factor 1: no two samples share a value"):
        factor_vae_score(factors, np.stack([factors[:, 0], np.arange(100)], axis=1))
    for wrong in ({"votes": 0}, {"held_out_votes": 0}, {"batch_size": 1}):
        with pytest.raises(ValueError, match="one vote and one held-out vote, of two images each"):
            factor_vae_score(factors, factors, **wrong)
