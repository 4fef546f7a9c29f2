"""A noise predictor whose time 1 is an earlier time of another: samplers then start there."""

from __future__ import annotations

from torch import Tensor

from mfbench import NoisePredictor, NoiseSchedule


class TruncatedSchedule:
    """abar'(t) = abar(end t): the part of `schedule` up to the time `end`, with about T end steps."""

    def __init__(self, schedule: NoiseSchedule, end: float) -> None:
        self.schedule = schedule
        self.end = end
        self.num_steps = max(1, round(schedule.num_steps * end))

    def alpha_bar(self, t: Tensor) -> Tensor:
        return self.schedule.alpha_bar(t * self.end)


class TruncatedPredictor:
    """eps'(x, t) = eps(x, end t)."""

    def __init__(self, predictor: NoisePredictor, end: float) -> None:
        self.predictor = predictor
        self.end = end
        self.schedule: NoiseSchedule = TruncatedSchedule(predictor.schedule, end)

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        if t.stride(0) == 0:  # one time, expanded: it stays one
            return self.predictor(x, (t[:1] * self.end).expand(len(t)))
        return self.predictor(x, t * self.end)
