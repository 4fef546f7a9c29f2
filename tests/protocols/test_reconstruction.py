"""reconstruction: errors put in are the errors found, level by level; errors; figures."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from level_fakes import Judge, Levels, Tiles
from protocol_fakes import Normal, QualityClock, TimingClock, record_of, seeded, values_of
from torch.nn.functional import avg_pool2d

from mfbench import measures
from mfbench.errors import ContractError, Unsupported, UserError
from mfbench.protocols.levels import at_level, enlarged
from mfbench.protocols.reconstruction import Reconstruction
from mfbench.protocols.step_images import FINEST

DATA = Tiles()


def measure(method, data=DATA, clock=None, **parameters):
    return Reconstruction().evaluate(method, data, rng=seeded(), clock=clock or QualityClock(), **parameters)


def shifted(x, level):
    """Off by 0.1 at the full size, by 0.01 at the next level."""
    return avg_pool2d(x, 2 ** (level - 1)) + 10.0**-level


SHIFTED = Levels(DATA.test.x, shifted)


def test_levels_are_block_means():
    x = DATA.test.x
    assert at_level(x, 1) is x
    assert torch.allclose(at_level(x, 3), x.unflatten(2, (2, 4)).unflatten(4, (2, 4)).mean((3, 5)))
    assert torch.equal(at_level(enlarged(at_level(x, 2), x.shape[1:]), 2), at_level(x, 2))


def test_errors_put_in_are_found():
    values = values_of(measure(SHIFTED, levels=[2, 1]))
    assert values["psnr", ""].value == pytest.approx(20, abs=1e-4)
    assert values["psnr", "level 2"].value == pytest.approx(40, abs=1e-3)
    assert values["psnr", ""].n == len(DATA.test)
    expected = measures.ssim(shifted(DATA.test.x, 2), avg_pool2d(DATA.test.x, 2)).mean()
    assert values["ssim", "level 2"].value == pytest.approx(expected)


def test_a_perfect_code():
    values = values_of(measure(Levels(DATA.test.x), levels=[1, 2, 3]))
    assert {values["psnr", part].value for part in ("", "level 2", "level 3")} == {FINEST}
    assert values["ssim", "level 3"].value == pytest.approx(1)


def test_the_interval_is_over_images():
    def unequal(x, level):
        rows = torch.arange(len(x)) % 2 == 0
        return x + torch.where(rows, 0.1, 0.01)[:, None, None, None]

    measurement = measure(Levels(DATA.test.x, unequal), count=100)
    value = values_of(measurement)["psnr", ""]
    assert value.value == pytest.approx(30, abs=1e-3)
    assert value.ci_high - value.ci_low == pytest.approx(2 * 1.98 * 10 / math.sqrt(99), rel=0.01)
    assert measurement.scores["test"].tolist() == pytest.approx([20, 40] * 50, abs=1e-3)


def test_the_finest_level_asked_for_is_ranked():
    values = values_of(measure(SHIFTED, levels=[3, 2]))
    assert values["psnr", ""].value == pytest.approx(40, abs=1e-3)
    assert {part for _, part in values} == {"", "level 3"}


def test_what_is_out_of_range_is_held_to_it():
    values = values_of(measure(Levels(DATA.test.x, lambda x, level: torch.where(x > 0.5, 9.0, x))))
    x = DATA.test.x
    expected = np.minimum(measures.psnr(torch.where(x > 0.5, 1.0, x), x), FINEST).mean()
    assert values["psnr", ""].value == pytest.approx(expected, rel=1e-6)


def test_lpips_of_small_images_is_left_out_with_a_note():
    measurement = measure(SHIFTED, levels=[1, 2])
    assert ("lpips", "") not in values_of(measurement)
    assert [note.split(":")[0] for note in measurement.notes] == ["level 1", "level 2"]
    assert all("no LPIPS" in note for note in measurement.notes)


def test_timing():
    clock = TimingClock()
    assert measure(SHIFTED, clock=clock, levels=[2, 3]).values == ()
    assert clock.result.shape == (1000, 1, 4, 4)


def test_bad_input_is_told():
    for levels in ([], [0], [1, 1]):
        with pytest.raises(UserError, match=r"reconstruction: levels = .*: whole numbers from 1"):
            measure(SHIFTED, levels=levels)
    with pytest.raises(UserError, match="count = 1: at least 2"):
        measure(SHIFTED, count=1)
    with pytest.raises(Unsupported, match="images of 8 x 8 have no level 5"):
        measure(SHIFTED, levels=[5])
    with pytest.raises(Unsupported, match="500 images are asked for, but the test split holds 240"):
        measure(SHIFTED, count=500)
    with pytest.raises(Unsupported, match="reconstruction is for images"):
        measure(SHIFTED, data=Normal())
    with pytest.raises(Unsupported, match="Judge does not reconstruct"):
        measure(Judge())
    with pytest.raises(ContractError, match=r"reconstruct must return shape \(240, 1, 4, 4\)"):
        measure(Levels(DATA.test.x, lambda x, level: x), levels=[2])


def test_figure():
    measurement = measure(SHIFTED, levels=[1, 2])
    figures = Reconstruction().draw([record_of(measurement, "shifted")], [measurement.arrays])
    assert set(figures) == {"reconstructions"}
    figures["reconstructions"].canvas.draw()
    axes = figures["reconstructions"].axes
    assert len(axes) == 2 * 8
    assert axes[0].get_ylabel().split("\n") == ["shifted", "level 1", "20.0 dB"]
    assert axes[8].get_ylabel().split("\n") == ["level 2", "40.0 dB"]
    assert measurement.arrays["made:2"].shape == (8, 1, 4, 4)
