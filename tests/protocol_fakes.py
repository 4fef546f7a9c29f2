"""A data set whose every number is known, and clocks, for the tests of protocols and methods."""

from __future__ import annotations

import math
import time

import torch

from mfbench.contracts import Dataset, Record, Split, Timing
from mfbench.schedules import LinearSchedule


class Normal(Dataset):
    """N(shift e_1, scale^2 I) in `dim` dimensions."""

    def __init__(self, shift=0.0, scale=1.0, dim=2, count=2000, name="normal", *, seed=0):
        super().__init__(seed=seed)
        self.shift, self.scale, self.count = shift, scale, count
        self.shape = (dim,)
        self.name = name

    @property
    def mean(self):
        return torch.tensor([self.shift, *[0.0] * (self.shape[0] - 1)])

    def make_split(self, split):
        salt = {"train": 1, "val": 2, "test": 3}[split] + 10 * self.seed + int(1000 * self.shift)
        noise = torch.randn(self.count, *self.shape, generator=torch.Generator().manual_seed(salt))
        return Split(self.mean + self.scale * noise)

    def log_density(self, x):
        z = (x - self.mean.to(x)) / self.scale
        return -z.square().sum(1) / 2 - self.shape[0] * math.log(self.scale * math.sqrt(2 * math.pi))

    def noise_predictor(self, num_steps):
        return NormalPredictor(self, num_steps)


class NormalPredictor:
    """E[eps | x_t] for x_0 ~ N(m, s^2 I): sqrt(1 - abar) (x_t - sqrt(abar) m) / (abar s^2 + 1 - abar)."""

    def __init__(self, data, num_steps):
        self.data = data
        self.schedule = LinearSchedule(num_steps)

    def __call__(self, x, t):
        abar = self.schedule.alpha_bar(t)[:, None]
        variance = abar * self.data.scale**2 + 1 - abar
        return (1 - abar).sqrt() * (x - abar.sqrt() * self.data.mean.to(x)) / variance


class QualityClock:
    """The clock of the quality pass: measures nothing."""

    timing_only = False

    def measure(self, fn, budget_s=2.0):
        return None


class TimingClock:
    """The clock of the timing pass, with a single call; it keeps what the call gave."""

    timing_only = True

    def measure(self, fn, budget_s=2.0):
        started = time.perf_counter()
        self.result = fn()
        return Timing((time.perf_counter() - started) * 1e3, 0.0, 1, None, valid=True)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def fitted(method, data, seed=0):
    """The method, built and fitted as the bench does it."""
    method.build(data.spec())
    method.fit(data.without_test(), rng=seeded(seed), progress=lambda done, total: None)
    return method


def values_of(measurement):
    """{(metric, part): Value}"""
    return {(value.metric, value.part): value for value in measurement.values}


def record_of(measurement, label, role="method", data="normal", seed=0, **parameters):
    """The record that the bench would make of a measurement."""
    return Record(label, {}, parameters, data, seed, role, measurement.values, label, measurement.nfe)
