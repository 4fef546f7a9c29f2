"""intrinsic_dimension: errors put in are the errors found, over all points and for each dimension."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from mfbench_dimension.oracle import OracleDimension
from protocol_fakes import Normal, QualityClock, TimingClock, fitted, record_of, seeded, values_of

from mfbench.contracts import EstimatesDimension, Likelihood
from mfbench.datasets.manifolds import EmbeddedSphere, ManifoldUnion
from mfbench.errors import ContractError, Unsupported, UserError
from mfbench.protocols.dimension_figures import reach
from mfbench.protocols.intrinsic_dimension import IntrinsicDimension

ONE = EmbeddedSphere(dimension=3, ambient=6, count=4000)
SEVERAL = ManifoldUnion(dimensions=[1, 2, 4], count=4000)


def evaluate(method, data=ONE, clock=None, **parameters):
    return IntrinsicDimension().evaluate(
        method, data, rng=seeded(), clock=clock or QualityClock(), **parameters
    )


class Wrong(OracleDimension):
    """The truth, off by `offset` and by noise."""

    def __init__(self, offset=0.0, noise=0.0):
        self.offset, self.noise = offset, noise

    def intrinsic_dimension(self, x, *, rng=None):
        truth = super().intrinsic_dimension(x)
        return truth + self.offset + self.noise * torch.randn(len(x), generator=rng)


def test_the_truth_has_no_error():
    values = values_of(evaluate(fitted(OracleDimension(), SEVERAL), SEVERAL))
    assert values["absolute_error", ""].value == values["bias", ""].value == 0.0
    assert values["within_half", ""].value == values["spearman", ""].value == 1.0
    assert values["absolute_error", "dimension 4"].value == 0.0


def test_bias_and_noise_are_found_within_their_intervals():
    values = values_of(evaluate(fitted(Wrong(0.2, 0.4), ONE)))
    # |N(0.2, 0.4^2)|: the folded normal distribution
    mean = 0.4 * math.sqrt(2 / math.pi) * math.exp(-1 / 8) + 0.2 * math.erf(0.2 / (0.4 * math.sqrt(2)))
    share = sum(math.erf(end / (0.4 * math.sqrt(2))) / 2 for end in (0.3, 0.7))
    for metric, expected in (("absolute_error", mean), ("bias", 0.2), ("within_half", share)):
        value = values[metric, ""]
        assert value.ci_low < expected < value.ci_high, metric
        assert value.n == 2000
    assert values["absolute_error", ""].ci_high - values["absolute_error", ""].ci_low < 0.04


def test_a_rounded_half_is_within_half():
    value = values_of(evaluate(fitted(Wrong(-0.5), ONE)))["within_half", ""]
    assert value.value == 1.0
    assert value.ci_low > 0.99


def test_one_dimension_has_no_ranks_and_no_parts():
    assert {part for _, part in values_of(evaluate(fitted(Wrong(), ONE)))} == {""}
    assert ("spearman", "") not in values_of(evaluate(fitted(Wrong(), ONE)))


def test_parts_are_the_dimensions_and_their_mean_is_the_whole():
    class Tripled(OracleDimension):
        def intrinsic_dimension(self, x, *, rng=None):
            return 3 * super().intrinsic_dimension(x)

    values = values_of(evaluate(fitted(Tripled(), SEVERAL), SEVERAL))
    parts = [values["absolute_error", f"dimension {d}"] for d in (1, 2, 4)]
    assert [part.value for part in parts] == [2.0, 4.0, 8.0]
    assert sum(part.n for part in parts) == 2000
    assert values["absolute_error", ""].value == pytest.approx(sum(p.value * p.n for p in parts) / 2000)
    assert values["bias", "dimension 4"].value == 8.0
    assert values["spearman", ""].value == pytest.approx(1.0)


def test_scores_reproduce_the_primary_value():
    measurement = evaluate(fitted(Wrong(0.1, 0.2), SEVERAL), SEVERAL)
    primary = values_of(measurement)["absolute_error", ""]
    errors = measurement.scores["points"]
    assert errors.shape == (2000,)
    assert errors.mean() == pytest.approx(primary.value)
    half = 1.96 * errors.std(ddof=1) / math.sqrt(2000)
    assert primary.ci_high - primary.value == pytest.approx(half, rel=1e-2)


def test_an_infinite_estimate_is_an_infinite_error():
    value = values_of(evaluate(fitted(Wrong(math.inf), ONE)))["absolute_error", ""]
    assert value.value == math.inf
    assert value.ci_low is None


def test_what_cannot_be_measured_is_unsupported():
    class Plain(Likelihood):
        pass

    with pytest.raises(Unsupported, match="Plain does not estimate dimensions"):
        evaluate(Plain())
    normal = Normal()
    with pytest.raises(Unsupported, match="intrinsic dimension of data set 'normal' is not known"):
        evaluate(fitted(OracleDimension(), normal), normal)
    with pytest.raises(UserError, match="count is 1"):
        evaluate(fitted(OracleDimension(), ONE), count=1)
    assert IntrinsicDimension.ability is EstimatesDimension


def test_nan_is_a_broken_contract():
    with pytest.raises(ContractError, match=r"Wrong\.intrinsic_dimension returned NaN for 50 of 50 samples"):
        evaluate(fitted(Wrong(math.nan), ONE), count=50)


def test_all_methods_meet_the_same_noise_whatever_they_drew_before():
    class Wasteful(Wrong):
        def intrinsic_dimension(self, x, *, rng=None):
            answer = super().intrinsic_dimension(x, rng=rng)
            torch.randn(100, generator=rng)
            return answer

    plain, wasteful = (evaluate(fitted(kind(0.0, 0.3), ONE)) for kind in (Wrong, Wasteful))
    np.testing.assert_array_equal(plain.scores["points"], wasteful.scores["points"])


def test_the_timing_pass_asks_for_a_thousand_points():
    clock = TimingClock()
    assert not evaluate(fitted(OracleDimension(), ONE), clock=clock, count=30).values
    assert clock.result.shape == (1000,)


def test_figure():
    measurements = [evaluate(fitted(Wrong(0.0, noise), SEVERAL), SEVERAL) for noise in (0.1, 0.3)]
    records = [record_of(m, f"wrong(noise={n})") for m, n in zip(measurements, (0.1, 0.3))]
    figure = IntrinsicDimension().draw(records, [m.arrays for m in measurements])["dimension"]
    assert figure.axes[0].get_title() == "wrong\n(noise=0.1)\nmean absolute error 0.079"
    heights = [patch.get_height() for patch in figure.axes[0].patches]
    assert sum(heights) == pytest.approx(3.0), "each dimension's shares sum to one"
    assert IntrinsicDimension().draw([], []) == {}


def test_absurd_estimates_do_not_stretch_the_figure():
    kept = {"said": np.array([-1e6, 2.0, np.inf]), "truth": np.array([2.0, 2.0, 4.0])}
    low, high = reach([kept])
    assert -10 < low < 2
    assert 4 < high < 15
