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


def orders_of_the_variance(x, y):
    """(first - second, second): the unbiased first order of the energy distance's variance, and the second,
    from the full matrices of distances (Hoeffding's decomposition).
    """

    def centred(matrix):
        return matrix - matrix.mean(0) - matrix.mean(1, keepdims=True) + matrix.mean()

    n, m = len(x), len(y)
    xy, xx, yy = (torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist").numpy()
                  for a, b in ((x, y), (x, x), (y, y)))  # fmt: skip
    of_x = 2 * xy.mean(1) - 2 * xx.sum(1) / (n - 1)
    of_y = 2 * xy.mean(0) - 2 * yy.sum(1) / (m - 1)
    first = of_x.var(ddof=1) / n + of_y.var(ddof=1) / m
    second = 4 * (centred(xy) ** 2).mean() / (n * m)
    second += sum(2 * (centred(w) ** 2).mean() / (k * (k - 1)) for w, k in ((xx, n), (yy, m)))
    return first - second, second


@pytest.mark.parametrize(("shift", "second_decides"), [(0.0, True), (1.0, False)])
def test_the_variance_is_the_larger_of_its_two_orders(shift, second_decides):
    """Where the laws agree the first order is noise about zero, and the second is all there is."""
    x = torch.randn(100, 2, generator=seeded(0), dtype=torch.float64)
    y = torch.randn(80, 2, generator=seeded(1), dtype=torch.float64) + shift
    first, second = orders_of_the_variance(x, y)
    assert (first < second) == second_decides
    energy = energy_to(x, y)
    variance = energy.samples.var(ddof=1) / 100 + energy.held_out.var(ddof=1) / 80
    assert variance == pytest.approx(max(first, second), rel=1e-9)
    value = energy.as_value("energy_distance")
    assert value.ci_high - value.value == pytest.approx(1.959964 * variance**0.5, rel=1e-6)
