"""The energy distance by contributions: the measure's value, and a variance that simulation confirms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from protocol_fakes import seeded

from mfbench import measures
from mfbench.protocols.energy import energy_to


def test_value_is_the_measure_and_the_contributions_average_to_it():
    x, y = torch.randn(60, 3, generator=seeded(0)), torch.randn(45, 3, generator=seeded(1)) + 0.5
    energy = energy_to(x, y)
    assert energy.value == pytest.approx(measures.energy_distance(x, y), abs=1e-12)
    assert energy.samples.shape == (60,)
    assert energy.held_out.shape == (45,)
    assert energy.samples.mean() == pytest.approx(energy.value, abs=1e-12)
    assert energy.held_out.mean() == pytest.approx(energy.value, abs=1e-12)


@pytest.mark.parametrize(("shift", "narrow", "wide"), [(0.0, 0.9, 1.5), (0.5, 0.85, 1.2)])
def test_the_standard_error_is_that_of_repeated_experiments(shift, narrow, wide):
    rng = np.random.default_rng(0)
    values, errors = [], []
    for _ in range(300):
        x, y = rng.standard_normal((100, 2)), rng.standard_normal((80, 2)) + shift
        value = energy_to(torch.from_numpy(x), torch.from_numpy(y)).as_value("energy_distance")
        values.append(value.value)
        errors.append((value.ci_high - value.ci_low) / 2 / 1.96)
    assert narrow < np.mean(errors) / np.std(values) < wide


def test_images_are_flattened():
    x, y = torch.rand(20, 1, 4, 4, generator=seeded(0)), torch.rand(20, 1, 4, 4, generator=seeded(1))
    assert energy_to(x, y).value == pytest.approx(energy_to(x.flatten(1), y.flatten(1)).value)
