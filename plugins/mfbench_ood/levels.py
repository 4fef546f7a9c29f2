"""Noise levels: where on a schedule a score looks. float64 on the CPU, once a call."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from mfbench import NoiseSchedule, UserError
from mfbench.schedules import sigma_at, time_of_sigma


@dataclass(frozen=True, slots=True)
class Level:
    """A time t in [0, 1] with sigma(t) = sqrt((1 - abar) / abar)."""

    t: float
    sigma: float

    @property
    def signal(self) -> float:
        """sqrt(abar)."""
        return 1 / math.hypot(1, self.sigma)

    @property
    def noise(self) -> float:
        """sqrt(1 - abar)."""
        return self.sigma / math.hypot(1, self.sigma)


def levels_at(schedule: NoiseSchedule, times: Sequence[float]) -> list[Level]:
    """The levels at `times` in [0, 1]."""
    sigmas = sigma_at(schedule, torch.tensor(times, dtype=torch.float64))
    return [Level(*pair) for pair in zip(times, sigmas.tolist())]


def geometric_levels(schedule: NoiseSchedule, low: float, high: float, count: int) -> list[Level]:
    """`count` levels from sigma = low to sigma = high in equal ratios, within what the schedule has.

    UserError unless 0 < low <= high and count >= 1.
    """
    if not (0 < low <= high and count >= 1):
        raise UserError(f"noise levels: {count} from sigma {low} to {high}; 0 < low <= high, at least 1")
    ratios = torch.linspace(math.log(low), math.log(high), count, dtype=torch.float64)
    times = time_of_sigma(schedule, ratios.exp())
    return levels_at(schedule, times.tolist())
