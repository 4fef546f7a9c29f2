"""density_accuracy: errors put in are the errors found."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from mfbench_baselines.oracles import OracleBayes, OracleDensity
from protocol_fakes import Normal, QualityClock, TimingClock, fitted, record_of, seeded, values_of

from mfbench.contracts import Dataset, Split
from mfbench.errors import ContractError, Unsupported, UserError
from mfbench.protocols.density_accuracy import DensityAccuracy, rms_contributions

DATA = Normal(count=3000)


def evaluate(method, data=DATA, clock=None, **parameters):
    return DensityAccuracy().evaluate(method, data, rng=seeded(), clock=clock or QualityClock(), **parameters)


class Wrong(OracleDensity):
    def __init__(self, offset, noise):
        self.offset, self.noise = offset, noise

    def log_prob(self, x, *, rng=None):
        return super().log_prob(x) + self.offset + self.noise * torch.randn(len(x), generator=rng)


def test_the_truth_has_no_error():
    values = values_of(evaluate(fitted(OracleDensity(), DATA)))
    assert values["rms_error", ""].value == values["bias", ""].value == 0.0
    assert values["spearman", ""].value == pytest.approx(1.0)


def test_bias_and_noise_are_found_within_their_intervals():
    values = values_of(evaluate(fitted(Wrong(-0.3, 0.4), DATA)))
    assert values["rms_error", ""].ci_low < 0.5 < values["rms_error", ""].ci_high
    assert values["bias", ""].ci_low < -0.3 < values["bias", ""].ci_high
    assert 0.5 < values["spearman", ""].value < 1.0


def test_scores_reproduce_the_primary_value():
    measurement = evaluate(fitted(Wrong(0.1, 0.2), DATA))
    assert measurement.scores["samples"].mean() == pytest.approx(
        values_of(measurement)["rms_error", ""].value
    )


def test_the_contributions_have_the_spread_of_the_root_mean_square():
    rng = np.random.default_rng(0)
    errors = rng.standard_normal((400, 200)) + 0.5
    rms = np.sqrt((errors**2).mean(axis=1))
    within = np.mean([rms_contributions(row).std(ddof=1) / math.sqrt(200) for row in errors])
    assert within == pytest.approx(rms.std(), rel=0.1)


def test_a_density_of_zero_is_an_infinite_error():
    class Bounded(OracleDensity):
        def log_prob(self, x, *, rng=None):
            return torch.where(x[:, 0] > 1, -math.inf, super().log_prob(x))

    value = values_of(evaluate(fitted(Bounded(), DATA)))["rms_error", ""]
    assert value.value == math.inf
    assert value.ci_low is None


def test_what_cannot_be_measured_is_unsupported():
    with pytest.raises(Unsupported, match="OracleBayes only ranks"):
        evaluate(fitted(OracleBayes(), DATA))

    class Unknown(Dataset):
        shape, name = (2,), "unknown"

        def make_split(self, split):
            return Split(torch.zeros(10, 2))

    with pytest.raises(Unsupported, match="density of data set 'unknown' is not known"):
        evaluate(fitted(OracleDensity(), DATA), Unknown())
    with pytest.raises(UserError, match="count is 0"):
        evaluate(fitted(OracleDensity(), DATA), count=0)


def test_nan_is_a_broken_contract():
    with pytest.raises(ContractError, match=r"Wrong\.log_prob returned NaN for 50 of 50 samples"):
        evaluate(fitted(Wrong(math.nan, 0.0), DATA), count=50)


def test_the_timing_pass_scores_a_thousand_points():
    clock = TimingClock()
    assert not evaluate(fitted(OracleDensity(), DATA), clock=clock, count=30).values
    assert clock.result.shape == (1000,)


def test_figure():
    measurement = evaluate(fitted(Wrong(0.0, 0.1), DATA))
    figures = DensityAccuracy().draw([record_of(measurement, "wrong(noise=0.1)")], [measurement.arrays])
    assert figures["density"].axes[0].get_title() == "wrong\n(noise=0.1)\nrms 0.098 nats"
    assert DensityAccuracy().draw([], []) == {}
