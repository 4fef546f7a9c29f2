"""super_resolution: values worked out by hand on images whose content is known; errors; figures."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from level_fakes import Judge, Levels, Noisy, Tiles
from protocol_fakes import Normal, QualityClock, TimingClock, record_of, seeded, values_of
from torch.nn.functional import avg_pool2d

from mfbench import measures
from mfbench.contracts import Defense
from mfbench.errors import ContractError, Unsupported, UserError
from mfbench.protocols.kernel import kernel_to
from mfbench.protocols.step_images import FINEST
from mfbench.protocols.super_resolution import SuperResolution

DATA, JUDGE, COUNT = Tiles(), Judge(), 100


def measure(method, data=DATA, features=JUDGE, count=COUNT, clock=None, **parameters):
    return SuperResolution().evaluate(
        method,
        data,
        rng=seeded(),
        clock=clock or QualityClock(),
        features=features,
        count=count,
        **parameters,
    )


def found(method, **parameters):
    return values_of(measure(method, **parameters))


TRUTH = Levels(DATA.test.x)
BLURRED = Levels(
    DATA.test.x, lambda x, level: avg_pool2d(x, 4).repeat_interleave(4, 2).repeat_interleave(4, 3)
)


def test_the_originals_themselves():
    values = found(TRUTH, judge=JUDGE)
    assert values["kid", ""].value == values["kid_floor", ""].value
    assert values["kid", ""].ci_low < 0 < values["kid", ""].ci_high
    assert [values[metric, ""].value for metric in ("psnr", "consistency")] == pytest.approx([FINEST] * 2)
    assert values["ssim", ""].value == pytest.approx(1)
    assert values["label_agreement", ""].value == values["attribute_agreement", ""].value == 1
    assert values["attribute_ceiling", ""].value == 1
    assert values["diversity", ""].value == 0
    assert values["kid", ""].n == COUNT


def test_blurred_images_are_told_by_kid_alone():
    """They fit the original as well as a mean can, show what it shows, and are unlike all images."""
    values = found(BLURRED, judge=JUDGE)
    assert values["kid", ""].ci_low > values["kid_floor", ""].ci_high
    assert values["psnr", ""].value == pytest.approx(-10 * math.log10(0.2**2 / 12), abs=0.5)
    assert values["label_agreement", ""].value == 1


def test_it_is_measured_as_the_measures_do():
    method = Levels(DATA.val.x)
    values = found(method)
    x, y, others = DATA.val.x[:COUNT], DATA.test.x[:COUNT], DATA.test.x[COUNT : 2 * COUNT]
    kernel = measures.kernel_distance(JUDGE.features(x), JUDGE.features(others))
    assert values["kid", ""].value == pytest.approx(kernel.value, rel=1e-9)
    assert values["kid", ""].ci_low == pytest.approx(kernel.low, rel=1e-9)
    assert values["psnr", ""].value == pytest.approx(measures.psnr(x, y).mean())
    assert values["ssim", ""].value == pytest.approx(measures.ssim(x, y).mean())
    low, own = avg_pool2d(y, 2), avg_pool2d(x, 2)
    assert values["consistency", ""].value == pytest.approx(measures.psnr(own, low).mean(), rel=1e-6)


@pytest.mark.parametrize("shift", [0.01, 0.1])
def test_consistency_of_a_constant_error(shift):
    values = found(Levels(DATA.test.x, lambda x, level: x + shift))
    for metric in ("consistency", "psnr"):
        assert values[metric, ""].value == pytest.approx(-20 * math.log10(shift), abs=1e-3)


def test_attributes_and_labels_that_change_are_counted():
    """The left half made dark in the first 25 images."""

    def darken(x, level):
        x = x.clone()
        x[:25, :, :, :4] = 0.1
        return x

    values = found(Levels(DATA.test.x, darken), judge=JUDGE)
    lost = int(DATA.test.attributes[:25, 0].sum())
    assert 0 < lost < 25
    assert values["attribute_agreement", ""].value == pytest.approx(1 - lost / COUNT / 2)
    assert values["label_agreement", ""].value == pytest.approx(1 - lost / COUNT)
    assert values["label_agreement", ""].ci_low < 1 - lost / COUNT < values["label_agreement", ""].ci_high


def test_diversity_is_the_standard_deviation_over_draws():
    """Noise of 0.05 without its block means: 3/4 of the variance is left."""
    measurement = measure(Noisy(DATA.test.x), draws=8)
    values = values_of(measurement)
    assert values["diversity", ""].value == pytest.approx(0.05 * math.sqrt(3 / 4), rel=0.02)
    assert values["consistency", ""].value > 100
    assert not any("deterministic" in note for note in measurement.notes)
    still = measure(Noisy(DATA.test.x), temperature=0.0)
    assert values_of(still)["diversity", ""].value == 0
    assert any("deterministic" in note for note in still.notes)
    assert ("diversity", "") not in found(Noisy(DATA.test.x), draws=1)


def test_every_method_meets_the_same_z_and_each_draw_another():
    methods = [Levels(DATA.test.x), Levels(DATA.val.x)]
    for method in methods:
        measure(method, factor=4, temperature=0.5, draws=3)
    assert methods[0].asked == methods[1].asked
    assert {asked[:2] for asked in methods[0].asked} == {(3, 0.5)}
    assert len({asked[2] for asked in methods[0].asked}) == 3


def test_the_images_compared_with_are_no_originals():
    """Originals returned unchanged would be too near to themselves: the floor is one of other images."""
    values = found(TRUTH)
    x, y = DATA.test.x[:COUNT], DATA.test.x[COUNT : 2 * COUNT]
    expected = kernel_to(JUDGE.features(x), JUDGE.features(y)).value
    assert values["kid_floor", ""].value == expected


def test_scores_have_the_variance_of_the_value():
    measurement = measure(BLURRED)
    value = values_of(measurement)["kid", ""]
    error = math.sqrt(sum(np.var(group, ddof=1) / len(group) for group in measurement.scores.values()))
    assert value.ci_high - value.value == pytest.approx(1.959964 * error, rel=1e-6)
    assert all(group.mean() == pytest.approx(value.value) for group in measurement.scores.values())


def test_images_are_judged_as_they_are_shown():
    judge = Judge()
    values = found(Levels(DATA.test.x, lambda x, level: 3 * x - 1), features=judge)
    assert judge.largest <= 1
    assert values["psnr", ""].value > 0


def test_kernel_contributions_are_the_jackknife():
    a, b = torch.randn(30, 4, generator=seeded()), torch.randn(20, 4, generator=seeded(1)) + 0.3
    found, expected = kernel_to(a, b), measures.kernel_distance(a, b)
    assert found.value == pytest.approx(expected.value)
    error = math.sqrt(np.var(found.samples, ddof=1) / 30 + np.var(found.held_out, ddof=1) / 20)
    assert error == pytest.approx(expected.standard_error)
    without = measures.kernel_distance(a[1:], b).value
    assert found.samples[0] == pytest.approx(30 * expected.value - 29 * without)


def test_timing():
    clock = TimingClock()
    assert measure(TRUTH, clock=clock).values == ()
    assert len(clock.result) == len(DATA.test.x)  # `TRUTH` has no more images to give; 1,000 are asked for


# -- bad input -----------------------------------------------------------------------------------------------


def test_bad_input_is_told():
    for parameters, text in (
        ({"factor": 3}, "factor = 3: a power of 2"),
        ({"factor": 1}, "factor = 1: a power of 2"),
        ({"temperature": -1.0}, "temperature = -1.0"),
        ({"draws": 0}, "draws = 0"),
        ({"features": TRUTH}, "features = Levels has no features"),
        ({"judge": Defense()}, "judge = Defense predicts no attributes"),
    ):
        with pytest.raises(UserError, match=f"super_resolution: .*{text}"):
            measure(TRUTH, **parameters)
    for data, parameters, text in (
        (Normal(), {}, "super_resolution is for images"),
        (DATA, {"factor": 16}, "images of 8 x 8 have no level 5: 16 does not divide them"),
        (DATA, {"count": 121}, "121 images to super-resolve and 121 others .* test split holds 240"),
        (Tiles(attributes=False), {"judge": JUDGE}, "the data have none"),
    ):
        with pytest.raises(Unsupported, match=text):
            measure(TRUTH, data=data, **parameters)
    with pytest.raises(Unsupported, match="Judge does not super-resolve"):
        measure(JUDGE)


def test_broken_answers_are_told():
    with pytest.raises(ContractError, match=r"super_resolve must return shape \(100, 1, 8, 8\)"):
        measure(Levels(DATA.test.x, lambda x, level: x[:, :, ::2]))
    with pytest.raises(ContractError, match="non-finite values in 100 of 100"):
        measure(Levels(DATA.test.x, lambda x, level: x / 0))

    class Short(Judge):
        def predict_attributes(self, x):
            return super().predict_attributes(x)[:, :1]

    with pytest.raises(ContractError, match="predict_attributes must return shape"):
        measure(TRUTH, judge=Short())


# -- figures -------------------------------------------------------------------------------------------------


def test_figures():
    cells = [("noisy", Noisy(DATA.test.x), "method"), ("blurred", BLURRED, "control")]
    records, arrays = [], []
    for factor in (2, 4):
        for label, method, role in cells:
            measurement = measure(method, factor=factor)
            records.append(record_of(measurement, label, role, "tiles", factor=factor, temperature=1.0))
            arrays.append(measurement.arrays)
    figures = SuperResolution().draw(records, arrays)
    assert set(figures) == {"super_resolution_2x", "super_resolution_4x"}
    figure = figures["super_resolution_4x"]
    titles = [ax.get_title().split("\n")[0] for ax in figure.axes[:6]]
    assert titles == ["2 x 2", "original", "noisy", "another draw", "another draw", "blurred"]
    assert len(figure.axes) == 6 * 6
    for each in figures.values():
        each.canvas.draw()
    assert SuperResolution().draw([], []) == {}
