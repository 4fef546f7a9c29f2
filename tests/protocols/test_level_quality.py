"""level_quality: samples of a level against data of that level; errors; figures."""

from __future__ import annotations

import pytest
import torch
from level_fakes import Judge, Levels, Tiles
from protocol_fakes import Normal, QualityClock, TimingClock, record_of, seeded, values_of
from torch.nn.functional import avg_pool2d

from mfbench import measures
from mfbench.errors import ContractError, Unsupported, UserError
from mfbench.protocols.energy import energy_to
from mfbench.protocols.level_quality import LevelQuality

DATA, JUDGE, COUNT = Tiles(), Judge(), 100
REAL = Levels(DATA.val.x)


def measure(method, data=DATA, features=JUDGE, clock=None, **parameters):
    parameters = {"count": COUNT, "levels": [1, 2]} | parameters
    return LevelQuality().evaluate(
        method, data, rng=seeded(), clock=clock or QualityClock(), features=features, **parameters
    )


def test_data_of_the_same_law_are_at_the_floor():
    values = values_of(measure(REAL))
    for part in ("", "level 2"):
        for metric in ("kid", "kid_floor", "energy_distance"):
            assert values[metric, part].ci_low < 0 < values[metric, part].ci_high
        assert values["kid", part].n == COUNT


def test_a_level_that_is_wrong_is_found_out():
    """Images blurred at the full size: level 2 is as it should be."""

    def blurred(x, level):
        low = avg_pool2d(x, 2)
        return low if level == 2 else low.repeat_interleave(2, 2).repeat_interleave(2, 3)

    values = values_of(measure(Levels(DATA.val.x, blurred)))
    assert values["kid", ""].ci_low > values["kid_floor", ""].ci_high
    assert values["kid", "level 2"].ci_low < 0 < values["kid", "level 2"].ci_high


def test_features_are_those_of_the_enlarged_images():
    values = values_of(measure(REAL, levels=[2]))
    large = [avg_pool2d(x[:COUNT], 2) for x in (DATA.val.x, DATA.test.x)]
    seen = [JUDGE.features(x.repeat_interleave(2, 2).repeat_interleave(2, 3)) for x in large]
    assert values["kid", ""].value == pytest.approx(measures.kernel_distance(*seen).value)
    assert values["energy_distance", ""].value == energy_to(*large).value


def test_the_temperature_reaches_the_method():
    method = Levels(DATA.val.x)
    measure(method, levels=[3, 1], temperature=0.7)
    assert method.asked == [(1, 0.7), (3, 0.7)]


def test_timing():
    clock = TimingClock()
    assert measure(REAL, clock=clock, levels=[2]).values == ()
    assert clock.result.shape[1:] == (1, 4, 4)


def test_bad_input_is_told():
    for parameters, text in (
        ({"levels": [0]}, "levels = .*: whole numbers from 1"),
        ({"temperature": -1.0}, "temperature = -1.0"),
        ({"count": 2}, "count = 2"),
        ({"features": REAL}, "features = Levels has no features"),
    ):
        with pytest.raises(UserError, match=f"level_quality: .*{text}"):
            measure(REAL, **parameters)
    with pytest.raises(Unsupported, match="121 held-out images and 121 others"):
        measure(REAL, count=121)
    with pytest.raises(Unsupported, match="images of 8 x 8 have no level 5"):
        measure(REAL, levels=[5])
    with pytest.raises(Unsupported, match="level_quality is for images"):
        measure(REAL, data=Normal())
    with pytest.raises(Unsupported, match="Judge does not generate by level"):
        measure(JUDGE)
    with pytest.raises(ContractError, match=r"generate must return shape \(100, 1, 4, 4\)"):
        measure(Levels(DATA.val.x, lambda x, level: x), levels=[2])


def test_figure():
    measurement = measure(REAL)
    record = record_of(measurement, "real", temperature=1.0)
    figures = LevelQuality().draw([record], [measurement.arrays])
    assert set(figures) == {"samples_by_level"}
    figures["samples_by_level"].canvas.draw()
    axes = figures["samples_by_level"].axes
    assert len(axes) == 2 * 8
    assert axes[0].get_ylabel().startswith("real\nlevel 1\nKID ")
    assert torch.equal(
        torch.from_numpy(measurement.arrays["made:2"]).float(),
        (avg_pool2d(DATA.val.x[:8], 2) * 255).round(),
    )


def test_blocks_of_one_method_are_told_apart_by_what_differs():
    measurement = measure(REAL)
    records = [record_of(measurement, "real", temperature=t, count=100) for t in (0.7, 1.0)]
    (figure,) = LevelQuality().draw(records, [measurement.arrays] * 2).values()
    named = [text for ax in figure.axes if (text := ax.get_ylabel()).startswith("real")]
    assert [text.split("\n")[1] for text in named] == ["temperature 0.7", "temperature 1.0"]
    assert not any("count" in text for text in named)
