"""The vectorised bootstrap against the plain one, and the coverage of its intervals."""

import numpy as np
import pytest

from mfbench.measures import average_precision, fpr_at_95_tpr, percentile, ranking_bootstrap
from mfbench.measures.resampled import _Levels


def scores(rng, m=60, n=80, shift=1.0, decimals=1):
    return np.round(rng.normal(shift, 1, m), decimals), np.round(rng.normal(0, 1, n), decimals)


def test_a_resample_is_measured_as_its_scores_are():
    rng = np.random.default_rng(0)
    scores_in, scores_out = scores(rng)
    scores_in[0] = -np.inf
    drawn_in, drawn_out = rng.integers(0, 60, (20, 60)), rng.integers(0, 80, (20, 80))
    precision, accepted = _Levels(scores_in, scores_out).measures(drawn_in, drawn_out)
    for i in range(20):
        pair = scores_in[drawn_in[i]], scores_out[drawn_out[i]]
        assert precision[i] == pytest.approx(average_precision(*pair), abs=1e-12)
        assert accepted[i] == pytest.approx(fpr_at_95_tpr(*pair), abs=1e-12)


def test_in_examples_are_resampled_together():
    """Two identical sets of very many out-examples: all that varies is shared, so both vary as one."""
    rng = np.random.default_rng(1)
    scores_in = rng.normal(1, 1, 50)
    scores_out = rng.normal(0, 1, 20_000)
    precision, _ = ranking_bootstrap([(scores_in, scores_out)] * 2, rng=rng, resamples=200)
    assert np.corrcoef(precision)[0, 1] > 0.95


def test_batches_do_not_change_the_shape(monkeypatch):
    monkeypatch.setattr("mfbench.measures.resampled._BATCH", 1000)
    pairs = [scores(np.random.default_rng(2))]
    precision, accepted = ranking_bootstrap(pairs, rng=np.random.default_rng(3), resamples=37)
    assert precision.shape == accepted.shape == (1, 37)
    assert np.all((precision > 0) & (precision <= 1))
    assert np.all((accepted >= 0) & (accepted <= 1))


def test_intervals_cover():
    """300 data sets from two Gaussians; the truth from 400,000 samples a side."""
    rng = np.random.default_rng(4)
    truth = scores(rng, 400_000, 400_000, decimals=12)
    expected = average_precision(*truth), fpr_at_95_tpr(*truth)
    hits = np.zeros(2)
    for _ in range(300):
        pair = scores(rng, 300, 300, decimals=12)
        resampled = ranking_bootstrap([pair], rng=rng, resamples=200)
        for k, measure in enumerate((average_precision, fpr_at_95_tpr)):
            interval = percentile(measure(*pair), resampled[k][0])
            hits[k] += interval.low <= expected[k] <= interval.high
    assert np.all((hits / 300 > 0.90) & (hits / 300 <= 1.0))
