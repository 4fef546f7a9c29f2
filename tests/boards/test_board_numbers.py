"""How numbers are written: digits by the interval, and nothing that misleads."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mfbench.boards import numbers

INF, NAN = math.inf, math.nan


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ((0.8613, 0.849, 0.873), "0.861 ± 0.012"),
        ((0.861, 0.7614, 0.9606), "0.86 ± 0.10"),
        ((0.0996, 0.0, 0.1992), "0.10 ± 0.10"),
        ((-1.25, -1.29, -1.21), "−1.250 ± 0.040"),
        ((-1e-5, -0.1, 0.1), "0.00 ± 0.10"),
        ((12345.6, 12000.0, 12700.0), "12,346 ± 350"),
        ((0.98, 0.93, 0.99), "0.980 (0.930 to 0.990)"),
        ((3.84e-5, 3.72e-5, 3.96e-5), "(3.84 ± 0.12)e−5"),
        ((3e-5, 1e-6, 9e-5), "[3.0 (0.1 to 9.0)]e−5"),
        ((1.05e-3, 1.038e-3, 1.062e-3), "(1.050 ± 0.012)e−3"),
        ((1e7, 9e6, 1.1e7), "(1.00 ± 0.10)e7"),
        ((0.5, 0.5, 0.5), "0.5000 ± 0"),
        ((0.0, 0.0, 0.0), "0 ± 0"),
        ((1.0, 0.99999999, 1.00000001), "1.000000 ± 1.0e−8"),
        ((1.0, -INF, 2.0), "1.000 (−inf to 2.000)"),
        ((-INF, None, None), "−inf"),
        ((NAN, 1.0, 2.0), "nan"),
        ((0.5, NAN, NAN), "0.5000"),
        ((None, None, None), "–"),
    ],
)
def test_a_number_is_rounded_where_its_interval_says_so(given, text):
    assert numbers.with_interval(*given) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(12400, "12,400"), (3.81e-5, "3.810e−5"), (-0.8613, "−0.8613"), (0.0, "0"), (9.9999e-4, "1.000e−3")],
)
def test_a_number_without_an_interval_has_four_digits(value, text):
    assert numbers.plain(value) == text


@pytest.mark.parametrize(
    ("function", "value", "text"),
    [
        (numbers.memory, 326e6, "311 MiB"),
        (numbers.memory, 1.5e9, "1.4 GiB"),
        (numbers.memory, 900, "<1 MiB"),
        (numbers.milliseconds, 0.0123, "0.0123"),
        (numbers.milliseconds, 1234.5, "1,234"),
        (numbers.seconds, 6e-5, "<0.01"),
        (numbers.seconds, 0.254, "0.25"),
        (numbers.seconds, 1230.0, "1,230"),
        (numbers.count, 634114, "634,114"),
        (numbers.count, 12.5, "12.50"),
        (numbers.count, None, "–"),
    ],
)
def test_costs_read_like_costs(function, value, text):
    assert function(value) == text


def test_rank_intervals_and_runs_of_seeds():
    assert [numbers.ranks(2, 2), numbers.ranks(1, 3), numbers.ranks(None, None)] == ["2", "1–3", "–"]
    assert numbers.spans([0, 1, 2, 7, 7]) == "0–2, 7"


@given(st.floats(-1e12, 1e12), st.floats(1e-9, 1e9))
def test_what_is_shown_is_what_was_meant(value, width):
    """Read back, the middle is off by less than the last digit shown, and the half-width by 5 %."""
    text = numbers.with_interval(value, value - width, value + width)
    if (value + width) - (value - width) == 0 or "to" in text or text.endswith("± 0"):
        return  # the width is below floating point, or so nearly that its sides differ
    plain = text.replace("−", "-").replace(",", "")
    found = re.fullmatch(r"\((\S+) ± (\S+)\)(e-?\d+)|(\S+) ± (\S+)", plain)
    assert found, text
    scale = float(f"1{found[3] or ''}")
    middle, half = float(found[1] or found[4]) * scale, float(found[2] or found[5]) * scale
    shown = (value + width - (value - width)) / 2
    assert math.isclose(half, shown, rel_tol=0.051) or abs(half - shown) <= 5e-7 * scale
    assert abs(middle - value) <= max(0.051 * shown, 5.1e-7 * scale, 1e-12 * abs(value))
