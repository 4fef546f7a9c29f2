"""Multi-scale score norms (MSMA: Mahmood, Oliva and Styner 2021).

At L noise levels sigma_1 < ... < sigma_L the norm of the score, |grad log p_sigma(x)|, is taken at the sample
itself, without noise added; a Gaussian mixture of these L numbers says what is usual.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mfbench import Ref
from mfbench_ood.levels import Level, geometric_levels
from mfbench_ood.references import CalibrationSplit
from mfbench_ood.statistics_score import StatisticsScore


class MultiscaleScoreNorms(StatisticsScore):
    """Log-density of the score norms |eps(sqrt(abar) x, t)| / sqrt(1 - abar) under a Gaussian mixture.

    `levels` noise levels in equal ratios from `sigma_low` to `sigma_high`, sigma = sqrt((1 - abar) / abar) in
    units of model space, within what the schedule has; `components` of the mixture, fitted to the norms of
    the first `count` samples of `split`. `levels` evaluations a sample.
    """

    def __init__(
        self,
        generator: Ref = "ddpm_mlp",
        levels: int = 10,
        sigma_low: float = 0.05,
        sigma_high: float = 10.0,
        components: int = 5,
        split: CalibrationSplit = "train",
        count: int = 5000,
        chunk: int = 512,
    ) -> None:
        super().__init__(generator, chunk, "gmm", components, split, count)
        self.levels = levels
        self.sigma_low = sigma_low
        self.sigma_high = sigma_high

    def statistics(self, x: Tensor) -> Tensor:
        """(n, levels) float64: the score's norm at each noise level, the lowest first."""
        model = self.generator.to_model(x)
        levels = geometric_levels(self.schedule, self.sigma_low, self.sigma_high, self.levels)
        return torch.stack([self._score_norm(model, level) for level in levels], 1)

    def _score_norm(self, x: Tensor, level: Level) -> Tensor:
        eps = self.eps(level.signal * x, level).flatten(1).double()
        return torch.linalg.vector_norm(eps, dim=1) / level.noise
