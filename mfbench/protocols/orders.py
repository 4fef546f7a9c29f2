"""The order of convergence that errors over step sizes show, where they show one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

ROUNDING = 1e-5
"""Distances below are float32 rounding and the reference's tolerance, and tell nothing about order."""
POWER_LAW = 0.1
"""How far an error may lie from c h^p, relative to it, for the power law to hold."""
LEAST = 3
"""Steps that a power law must describe: through two it always goes."""
LOWEST = 0.5
"""Half the lowest order of a method that converges: an error that falls more slowly has reached its floor."""


@dataclass(frozen=True)
class Order:
    """p of error = c h^p, and the steps from `smallest` to `largest` h that it was fitted to."""

    value: float
    smallest: float
    largest: float

    def __str__(self) -> str:
        return f"order {self.value:.1f} (h {self.smallest:g} to {self.largest:g})"


def local_orders(steps: Sequence[float], errors: Sequence[float]) -> list[Order]:
    """The orders between neighbouring steps, by rising h: what is to be seen where no power law holds.

    Of the same errors as `asymptotic_order`: finite and above rounding, one a step.
    """
    usable = sorted({(h, e) for h, e in zip(steps, errors) if np.isfinite(e) and e > ROUNDING})
    return [
        Order(float(np.log(above / below) / np.log(large / small)), small, large)
        for (small, below), (large, above) in pairwise(usable)
    ]


def asymptotic_order(steps: Sequence[float], errors: Sequence[float]) -> Order | None:
    """The order of the errors (> 0, one a step) in the asymptotic range; None where no such range shows.

    An error behaves as c h^p as h goes to 0, so the range begins at the smallest step whose error is above
    rounding, and holds as many of the next larger ones as one power law describes to 10 %, three at least.
    The order is the least-squares slope of log error over log h in it. A sampler whose last step makes
    another error than the rest, as on the t grid, has no power law over the mixture of both, and no order;
    nor has one whose error stays where it is.
    """
    usable = sorted({(h, e) for h, e in zip(steps, errors) if np.isfinite(e) and e > ROUNDING})
    log_h, log_e = np.log(np.array(usable, dtype=float).reshape(-1, 2)).T
    found = None
    for count in range(LEAST, len(usable) + 1):
        fit = np.polyfit(log_h[:count], log_e[:count], 1)
        if np.abs(np.polyval(fit, log_h[:count]) - log_e[:count]).max() > np.log1p(POWER_LAW):
            break
        found = Order(float(fit[0]), usable[0][0], usable[count - 1][0])
    return found if found and found.value >= LOWEST else None
