"""Scores that are the density of a few statistics of a diffusion model at a sample."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from mfbench import Dataset, Progress
from mfbench_ood.density import DensityKind, StatisticsDensity, fit_density
from mfbench_ood.diffusion import DiffusionScore
from mfbench_ood.references import CalibrationSplit, calibration_rows


class StatisticsScore(DiffusionScore):
    """log-density of `statistics(x)`, fitted to the first `count` samples of `split`.

    `density`: "gmm", a mixture of `components` Gaussians, or "kde". A subclass gives `statistics`.
    """

    def __init__(
        self,
        generator: Any,
        chunk: int,
        density: DensityKind,
        components: int,
        split: CalibrationSplit,
        count: int,
    ) -> None:
        super().__init__(generator, chunk)
        self.density: DensityKind = density
        self.components = components
        self.split: CalibrationSplit = split
        self.count = count

    def statistics(self, x: Tensor) -> Tensor:
        """(n, k) of samples x in data space."""
        raise NotImplementedError

    @torch.no_grad()
    def fit(self, data: Dataset, *, rng: torch.Generator, progress: Progress) -> None:
        rows = calibration_rows(data, self.split, self.count, type(self).__name__)
        found = []
        for part in torch.split(rows, self.chunk):
            found.append(self.statistics(part))
            progress(sum(map(len, found)), len(rows))
        self.fitted = fit_density(torch.cat(found), self.density, self.components, rng)

    def score_rows(self, x: Tensor, rng: torch.Generator | None) -> Tensor:
        return self.fitted.log_prob(self.statistics(x))

    def state_dict(self) -> Mapping[str, Tensor]:
        return self.fitted.state()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.fitted = StatisticsDensity.of_state(state)
