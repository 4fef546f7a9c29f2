"""How a board writes a number: as many digits as its interval supports, and never a misleading one."""

from __future__ import annotations

import math
from collections.abc import Sequence

MINUS = "−"
ABSENT = "–"

_MOST_DECIMALS = 6
_CROWDED = 0.1
"""Below this a number that needs all of _MOST_DECIMALS reads better with a power of ten."""
_SMALL, _LARGE = 1e-3, 1e6
"""Outside [_SMALL, _LARGE) a number is written with a power of ten."""


def plain(value: float | None, digits: int = 4) -> str:
    """A number without an interval, to `digits` significant digits: "0.8613", "12,400", "3.8e−5", "inf"."""
    if value is None:
        return ABSENT
    if not math.isfinite(value):
        return _sign(str(float(value)))
    if value == 0:
        return "0"
    exponent = _exponent(value, digits)
    if _is_extreme(abs(value)):
        return _sign(f"{_shifted(value, exponent):.{digits - 1}f}") + _power(exponent)
    return _sign(f"{value:,.{max(0, digits - 1 - exponent)}f}")


def with_interval(value: float | None, low: float | None = None, high: float | None = None) -> str:
    """A number with its interval, rounded where the interval says so.

    "0.861 ± 0.012" where both sides agree to a tenth, "0.98 (0.93 to 0.99)" where they do not,
    "(3.84 ± 0.12)e−5" far from one. The half-width has two significant digits.
    """
    if value is None or low is None or high is None or not math.isfinite(value) or _nan(low, high):
        return plain(value)
    if not math.isfinite(low) or not math.isfinite(high):
        return f"{plain(value)} ({plain(low)} to {plain(high)})"
    below, above = value - low, high - value
    width = max(abs(below), abs(above))
    # A width that floating point itself explains is no width: the value is printed for what it is.
    if width <= 1e-12 * abs(value):
        return f"{plain(value)} ± 0"
    if abs(below - above) <= 0.1 * width:
        return _symmetric(value, (below + above) / 2)
    return _asymmetric(value, low, high, width)


def count(value: float | None) -> str:
    """A whole number with thousands separators; fractions keep two digits ("12.50")."""
    if value is None or not math.isfinite(value):
        return plain(value)
    return _sign(f"{value:,.0f}" if float(value).is_integer() else f"{value:,.2f}")


def milliseconds(value: float | None) -> str:
    """Three significant digits, never a power of ten below a million: "0.0123", "12.3", "1,230"."""
    if value is None or not math.isfinite(value) or value == 0 or value >= _LARGE:
        return plain(value, 3)
    return f"{value:,.{max(0, 2 - _exponent(value, 3))}f}"


def seconds(value: float | None) -> str:
    """Three significant digits of what is worth a hundredth of a second: "<0.01", "0.25", "1,230"."""
    if value is None or not math.isfinite(value) or value == 0:
        return plain(value)
    return "<0.01" if value < 0.01 else f"{value:,.{min(2, max(0, 2 - _exponent(value, 3)))}f}"


def memory(value: float | None) -> str:
    """Bytes in binary units: "312 MiB", "1.4 GiB"; what is less than the noise of a measurement "<1 MiB"."""
    if value is None or not math.isfinite(value):
        return plain(value)
    if value < 2**20:
        return "<1 MiB"
    units = {2: "MiB", 3: "GiB", 4: "TiB"}
    power = min(4, int(math.log2(value)) // 10)
    scaled = value / 1024.0**power
    return (f"{scaled:.1f}" if scaled < 10 else f"{scaled:,.0f}") + f" {units[power]}"


def ranks(low: int | None, high: int | None) -> str:
    """A rank interval: "2", "1–3"."""
    if low is None or high is None:
        return ABSENT
    return str(low) if low == high else f"{low}–{high}"


def spans(numbers: Sequence[int]) -> str:
    """Whole numbers with runs drawn together: [0, 1, 2, 7] is "0–2, 7"."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}–{run[-1]}" for run in runs)


def _symmetric(value: float, width: float) -> str:
    size = max(abs(value), width)
    if _is_extreme(size) or (size < _CROWDED and _decimals(width) >= _MOST_DECIMALS):
        exponent = _exponent(max(abs(value), width), 2)
        value, width = _shifted(value, exponent), _shifted(width, exponent)
        decimals = min(_MOST_DECIMALS, _decimals(width))
        return f"({_fixed(value, decimals)} ± {_fixed(width, decimals)}){_power(exponent)}"
    decimals = _decimals(width)
    if decimals > _MOST_DECIMALS:
        return f"{_fixed(value, _MOST_DECIMALS)} ± {plain(width, 2)}"
    return f"{_fixed(value, decimals)} ± {_fixed(width, decimals)}"


def _asymmetric(value: float, low: float, high: float, width: float) -> str:
    largest = max(abs(value), abs(low), abs(high))
    exponent = _exponent(largest, 2) if _is_extreme(largest) else 0
    decimals = min(_MOST_DECIMALS, _decimals(_shifted(width, exponent)))
    middle, below, above = (_fixed(_shifted(x, exponent), decimals) for x in (value, low, high))
    text = f"{middle} ({below} to {above})"
    return f"[{text}]{_power(exponent)}" if exponent else text


def _shifted(value: float, exponent: int) -> float:
    """value / 10^exponent; in two steps where that power is 0 in floating point."""
    return value / 10.0**exponent if exponent > -300 else value * 1e300 / 10.0 ** (exponent + 300)


def _decimals(width: float) -> int:
    """Decimal places that show two significant digits of `width`."""
    return max(0, 1 - _exponent(width, 2))


def _exponent(value: float, digits: int) -> int:
    """Power of ten of the leading digit once rounded to `digits` significant digits (0.0996 to two: 0.10)."""
    return int(f"{value:.{digits - 1}e}".rpartition("e")[2])


def _is_extreme(size: float) -> bool:
    return size < _SMALL or size >= _LARGE


def _fixed(value: float, decimals: int) -> str:
    text = f"{value:,.{decimals}f}"
    # "-0.00" says less than "0.00": the sign is below the last digit shown.
    return _sign(text.lstrip("-") if not float(text.replace(",", "")) else text)


def _power(exponent: int) -> str:
    return f"e{_sign(str(exponent))}"


def _sign(text: str) -> str:
    return text.replace("-", MINUS)


def _nan(*values: float) -> bool:
    return any(math.isnan(value) for value in values)
