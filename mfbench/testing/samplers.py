"""What a sampler promises: the solution of the probability-flow ODE, or samples of the data, as h shrinks.

It is held to a case in closed form: data N(m, v I) with its exact noise predictor. With c(t) =
sqrt(abar v + 1 - abar), x_t = sqrt(abar) m + c(t) z along a solution, z constant.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mfbench.errors import ContractError
from mfbench.protocols.checked import checked_samples
from mfbench.schedules import LinearSchedule
from mfbench.testing.findings import NotApplicable, require
from mfbench.testing.methods import EXAMPLES, Check, MethodChecks

NUM_STEPS = 100
MEAN, STD = 0.5, 0.5
COUNTS = (20, 40, 80, 160)
"""Numbers of steps over which the order is fitted."""
CLOSE = 0.03
"""Error at the finest step, in units of the data's standard deviation, that is near enough for any order."""
CHAINS = (100, 200, 400)
"""Numbers T of steps of the chain, at h = 1, from which the error at T = infinity is extrapolated."""
LIMIT = 0.002
"""The largest such error, in units of the data's standard deviation."""
DRAWN = 2**15
SPREAD = 0.02
"""Error of mean and std at the longest chain, in the same units, beyond that of DRAWN samples."""


class ExactGaussian:
    """The noise predictor of N(MEAN, STD^2 I): eps = sqrt(1 - abar) (x - sqrt(abar) m) / (abar v + 1 - abar).

    It counts its calls, and refuses times that a network could not take (ContractError).
    """

    def __init__(self, num_steps: int = NUM_STEPS) -> None:
        self.schedule = LinearSchedule(num_steps)
        self.rows = 0

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        if tuple(t.shape) != (len(x),):
            raise ContractError(f"the predictor was given times of shape {tuple(t.shape)}, not ({len(x)},)")
        if t.min() < 0 or t.max() > 1:
            raise ContractError(
                f"the predictor was given times from {t.min():g} to {t.max():g}, not in [0, 1]"
            )
        self.rows += len(x)
        abar = self.schedule.alpha_bar(t)[:, None]
        return (1 - abar).sqrt() * (x - abar.sqrt() * MEAN) / (abar * STD**2 + 1 - abar)

    def solution(self, x_start: Tensor) -> Tensor:
        """x at t = 0 of the probability-flow ODE from x at t = 1."""
        abar = self.schedule.alpha_bar(x_start.new_ones(1))
        return MEAN + STD * (x_start - abar.sqrt() * MEAN) / (abar * STD**2 + 1 - abar).sqrt()


class SamplerChecks(MethodChecks):
    """Asked to carry noise to t = 0, at h = 5 of T = 100, with the exact predictor."""

    kind = "sampler"

    @cached_property
    def inputs(self) -> Tensor:
        return self._noise(EXAMPLES)

    def respond(self, method: Any, x: Tensor, rng: torch.Generator) -> Tensor:
        samples: Tensor = method.sample(ExactGaussian(), x, step=5, rng=rng)
        return samples

    def own(self) -> list[Check]:
        exactness = [self.convergence, self.bias] if self.method.deterministic else [self.distribution]
        return [self.samples, self.any_step, self.determinism, self.evaluations, *exactness]

    def samples(self) -> None:
        """The shape of x_start, finite, in points and in images."""
        for shape in ((1, 2), (EXAMPLES, 2)):
            x = self._noise(*shape)
            checked_samples(self.respond(self.method, x, self.workshop.rng("check")), shape, self.method)

    def any_step(self) -> None:
        """h is any positive number; the last step is shorter where h does not divide T, and reaches t = 0."""
        for step in (2.5, 7, 60, 1000):
            samples = self.method.sample(
                ExactGaussian(), self.inputs.clone(), step=step, rng=self.workshop.rng("check")
            )
            checked_samples(samples, tuple(self.inputs.shape), self.method)
        if self.method.deterministic:
            uneven, one = self._error(NUM_STEPS / 60), self._error(1)
            message = f"the error is {uneven:.2g} at h = 0.6 T, {one:.2g} at h = T"
            require(uneven <= 2 * max(one, STD), f"{message}: does the last, shorter step reach t = 0?")

    def determinism(self) -> None:
        """`deterministic` is true: then no generator is needed, and none changes the result."""
        if not self.method.deterministic:
            require(self.random, "deterministic is False, but two seeds give the same samples")
            return
        require(not self.random, "deterministic is True, but two seeds give different samples")
        self.method.sample(ExactGaussian(), self.inputs.clone(), step=5, rng=None)

    def evaluations(self) -> str | None:
        """`evaluations_per_step` is what is sent through the predictor."""
        stated = self.method.evaluations_per_step
        if stated is None:
            raise NotApplicable("adaptive")
        predictor = ExactGaussian()
        self.method.sample(predictor, self.inputs.clone(), step=2, rng=self.workshop.rng("check"))
        found = predictor.rows / len(self.inputs) / (NUM_STEPS / 2)
        # multistep and corrector schemes save or spend some at the ends
        require(
            abs(found - stated) <= 0.1 * stated,
            f"evaluations_per_step is {stated}, but {found:g} were counted",
        )
        return f"{found:g} a step"

    def convergence(self) -> str | None:
        """The error against the exact solution shrinks with h, at first order or faster."""
        errors = [self._error(count) for count in COUNTS]
        order = -float(np.polyfit(np.log(COUNTS), np.log(np.maximum(errors, 1e-16)), 1)[0])
        said = f"fitted order {order:.2f}, error {errors[-1]:.2g} at {COUNTS[-1]} steps"
        require(
            order >= 0.7 or errors[-1] <= CLOSE * STD, f"{said}: it does not converge to the exact solution"
        )
        return said

    def bias(self) -> str | None:
        """The error at h = 1 goes to 0 as T grows: little is left without its terms in 1/T and 1/T^2."""
        coarse, middle, fine = (self._errors(1, steps) for steps in CHAINS)
        left = float(((coarse - 6 * middle + 8 * fine) / 3).square().mean().sqrt()) / STD
        said = f"as T grows the error at h = 1 goes to {left:.2%} of the data's std"
        require(
            left <= LIMIT, f"{said}, not to 0: a factor or a constant is off in every step or in the last"
        )
        return said

    def distribution(self) -> str | None:
        """At h = 1 on the longest chain the samples have the mean and standard deviation of the data."""
        x, predictor = self._noise(DRAWN), ExactGaussian(CHAINS[-1])
        samples = self.method.sample(predictor, x, step=1, rng=self.workshop.rng("check"))
        mean, std = (samples.mean(0) - MEAN) / STD, samples.std(0) / STD - 1
        off = float(torch.cat([mean, std]).abs().max())
        parts = [f"{float(part.abs().max()):.1%}" for part in (mean, std)]
        said = f"mean off by {parts[0]}, std by {parts[1]} of the data's std"
        require(off <= SPREAD + 5 / math.sqrt(DRAWN), f"{said} at T = {CHAINS[-1]}, h = 1")
        return said

    def _noise(self, count: int, dim: int = 2) -> Tensor:
        rng = self.workshop.rng("noise")
        return torch.randn(count, dim, generator=rng, device=rng.device, dtype=torch.float64)

    def _errors(self, step: float, num_steps: int = NUM_STEPS) -> Tensor:
        """What the answer at t = 0 is off by, float64, with `step` of a chain of num_steps."""
        predictor, x = ExactGaussian(num_steps), self.inputs
        found: Tensor = self.method.sample(predictor, x.clone(), step=step, rng=self.workshop.rng("check"))
        return found - predictor.solution(x)

    def _error(self, count: float) -> float:
        """Root mean square error with T / count as the step."""
        return float(self._errors(NUM_STEPS / count).square().mean().sqrt())
