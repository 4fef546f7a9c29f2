"""A fitted order is one of the asymptotic range, or none."""

from __future__ import annotations

import pytest

from mfbench.protocols.orders import ROUNDING, asymptotic_order


@pytest.mark.parametrize("order", [1, 2, 4])
def test_a_power_law_gives_its_order_over_all_steps(order):
    steps = [1, 2, 5, 10, 20]
    errors = [1e-3 * h**order for h in steps]
    found = asymptotic_order(steps, errors)
    assert found.value == pytest.approx(order)
    assert (found.smallest, found.largest) == (1, 20)
    assert str(found) == f"order {order:.1f} (h 1 to 20)"
    assert asymptotic_order([0.5, *steps], [1e-9, *errors]) == found  # rounding is left out


def test_the_order_of_steps_does_not_matter_and_seeds_may_be_missing():
    found = asymptotic_order([10, 1, 5, 2], [0.1, 0.01, float("nan"), 0.02])
    assert found.value == pytest.approx(1)
    assert (found.smallest, found.largest) == (1, 10)


def test_large_steps_outside_the_asymptotic_range_are_left_out():
    steps = [1, 2, 4, 8, 16]
    found = asymptotic_order(steps, [1e-3 * h**2 * (1 if h <= 8 else 5) for h in steps])
    assert found.value == pytest.approx(2)
    assert found.largest == 8


def test_rounding_is_left_out():
    steps = [1, 2, 4, 8, 16]
    found = asymptotic_order(steps, [max(1e-6 * h**4, ROUNDING / 2) for h in steps])
    assert found.value == pytest.approx(4)
    assert found.smallest == 2


def test_a_mixture_of_two_regimes_has_no_order():
    """RK4 on the t grid of an exact mixture: the last step's error hides the others'."""
    assert asymptotic_order([1, 2, 5, 10, 20], [6.4e-6, 9.3e-5, 2.3e-3, 6.5e-3, 0.104]) is None


@pytest.mark.parametrize(
    ("steps", "errors"),
    [
        ([], []),
        ([1], [0.1]),
        ([1, 2], [0.1, 0.2]),  # through two points there is always a line
        ([1, 2, 4], [0.015, 0.0152, 0.0155]),  # a floor
        ([1, 2, 4], [0.4, 0.2, 0.1]),  # errors that grow as the steps shrink
        ([1, 2, 4], [0.0, float("inf"), float("nan")]),
    ],
)
def test_what_shows_no_order_has_none(steps, errors):
    assert asymptotic_order(steps, errors) is None
