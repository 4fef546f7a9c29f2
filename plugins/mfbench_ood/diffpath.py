"""Diffusion paths (DiffPath: Heng, Thiery and Soh, NeurIPS 2024).

A sample is carried along the probability-flow ODE towards noise, by `steps` Euler steps (DDIM run forward).
How fast eps changes along that path, and how it bends, differs between distributions even where the network
was trained on neither, so one network serves many.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

from mfbench import Ref, UserError
from mfbench_ood.density import DensityKind
from mfbench_ood.levels import Level, levels_at
from mfbench_ood.references import CalibrationSplit
from mfbench_ood.statistics_score import StatisticsScore

POWERS = 1, 2, 3


class DiffusionPath(StatisticsScore):
    """Log-density of the path's six statistics, sums over times and coordinates of eps^p and (deps/dt)^p.

    p = 1, 2, 3: DiffPath-6D. The path has `steps` evaluations, at t = 1/T and then evenly spaced below 1.
    `density`: "gmm" of `components` Gaussians, or "kde" (Scott's rule), fitted to the first `count` samples
    of `split`; the sums are standardised first.
    """

    def __init__(
        self,
        generator: Ref = "ddpm_mlp",
        steps: int = 10,
        density: DensityKind = "gmm",
        components: int = 10,
        split: CalibrationSplit = "train",
        count: int = 5000,
        chunk: int = 512,
    ) -> None:
        super().__init__(generator, chunk, density, components, split, count)
        if steps < 2:
            raise UserError(f"diffpath: steps = {steps}: at least 2, to see a change")
        self.steps = steps

    def statistics(self, x: Tensor) -> Tensor:
        """(n, 6) float64: sums of eps, eps^2, eps^3, and of deps/dt, its square and its cube."""
        path = self.path(x)
        sums = x.new_zeros((len(x), 2 * len(POWERS)), dtype=torch.float64)
        for _, eps in path:
            sums[:, :3] += _power_sums(eps)
        for (early, before), (late, after) in pairwise(path):
            sums[:, 3:] += _power_sums((after - before) / (late.t - early.t))
        return sums

    def path(self, x: Tensor) -> list[tuple[Level, Tensor]]:
        """The levels, and eps (n, ...) there, on the way of x (data space) towards noise."""
        first = 1 / self.schedule.num_steps
        times = [first + (1 - first) * k / self.steps for k in range(self.steps)]
        levels = levels_at(self.schedule, times)
        y = self.generator.to_model(x) / levels[0].signal  # x_t / sqrt(abar): the sample stands at the first
        path = []
        for k, level in enumerate(levels):
            eps = self.eps(level.signal * y, level)
            path.append((level, eps))
            if k + 1 < len(levels):
                y = y + (levels[k + 1].sigma - level.sigma) * eps  # dy = eps dsigma
        return path


def _power_sums(values: Tensor) -> Tensor:
    flat = values.flatten(1).double()
    return torch.stack([flat.pow(p).sum(1) for p in POWERS], 1)
