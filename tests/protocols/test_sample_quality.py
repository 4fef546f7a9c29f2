"""sample_quality: the floor at the floor, and a wrong law found wrong."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from mfbench_baselines.oracles import HeldOut
from protocol_fakes import Normal, QualityClock, TimingClock, fitted, record_of, seeded, values_of

from mfbench.contracts import GenerativeModel
from mfbench.errors import ContractError, Unsupported, UserError
from mfbench.protocols.sample_figures import kept, picture
from mfbench.protocols.sample_quality import SampleQuality
from mfbench.protocols.style import new_figure

DATA = Normal(count=1000)


class Drawing(GenerativeModel):
    def __init__(self, shift=0.0, scale=1.0):
        self.shift, self.scale = shift, scale

    def sample(self, count, *, rng):
        return self.shift + self.scale * torch.randn(count, 2, generator=rng)


def evaluate(method, clock=None, count=800):
    return SampleQuality().evaluate(method, DATA, rng=seeded(), clock=clock or QualityClock(), count=count)


@pytest.mark.parametrize("method", [Drawing(), fitted(HeldOut(), DATA)])
def test_the_true_law_is_at_the_floor(method):
    values = {metric: value for (metric, _), value in values_of(evaluate(method)).items()}
    assert values["energy_distance"].ci_low < 0 < values["energy_distance"].ci_high
    assert values["c2st_accuracy"].ci_low < 0.5 < values["c2st_accuracy"].ci_high
    assert values["c2st_p"].value > 0.02
    assert abs(values["mmd"].value) < 0.005
    assert values["sliced_wasserstein"].value < 0.15
    assert values["density"].value == pytest.approx(1.0, abs=0.1)
    assert min(values[metric].value for metric in ("precision", "recall", "coverage")) > 0.9


def test_a_wrong_mean_is_found():
    values = {metric: value for (metric, _), value in values_of(evaluate(Drawing(shift=1.0))).items()}
    assert values["energy_distance"].ci_low > 0.1
    assert values["c2st_accuracy"].ci_low > 0.6
    assert values["c2st_p"].value < 1e-6
    # the projections of the shift (1, 1) on a unit circle have mean square 1
    assert values["sliced_wasserstein"].value == pytest.approx(1.0, abs=0.1)


def test_lost_diversity_costs_recall_and_not_precision():
    values = {metric: value.value for (metric, _), value in values_of(evaluate(Drawing(scale=0.3))).items()}
    assert values["precision"] > 0.95
    assert values["recall"] < 0.6


def test_scores_reproduce_the_primary_value():
    measurement = evaluate(Drawing(shift=0.5))
    value = values_of(measurement)["energy_distance", ""].value
    assert measurement.scores["samples"].mean() == pytest.approx(value, abs=1e-12)
    assert measurement.scores["held_out"].mean() == pytest.approx(value, abs=1e-12)


def test_what_cannot_be_measured():
    with pytest.raises(UserError, match="count is 3"):
        evaluate(Drawing(), count=3)
    with pytest.raises(Unsupported, match="1500 samples are asked for, but the test split holds 1000"):
        evaluate(Drawing(), count=1500)
    with pytest.raises(ContractError, match="non-finite values in 800 of 800"):
        evaluate(Drawing(shift=math.inf))


def test_the_timing_pass_draws_a_thousand():
    clock = TimingClock()
    assert not evaluate(Drawing(), clock=clock).values
    assert clock.result.shape == (1000, 2)


def test_figure_of_points():
    measurement = evaluate(Drawing())
    figures = SampleQuality().draw([record_of(measurement, "drawing")], [measurement.arrays])
    assert figures["samples"].axes[0].get_title() == "drawing"
    assert SampleQuality().draw([], []) == {}


@pytest.mark.parametrize(("channels", "shape"), [(1, (8, 8)), (3, (8, 8, 3))])
def test_images_are_shown_four_at_a_time(channels, shape):
    images = torch.rand(6, channels, 4, 4, generator=seeded())
    small = kept(images, images[:3])
    assert small["samples"].dtype == np.uint8
    assert len(small["samples"]) == 4
    _, axes = new_figure()
    picture(axes[0, 0], small)
    assert axes[0, 0].images[0].get_array().shape == shape
    picture(axes[0, 0], {"samples": small["held_out"], "held_out": small["held_out"]})  # three of four
