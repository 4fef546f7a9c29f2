"""scikit-learn's outlier detectors. They rank and give no density; without tensors for a state, they are
refitted in each cell from the cell's seed."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from mfbench import Dataset, Likelihood, Progress
from mfbench_baselines.arguments import require_at_least
from mfbench_baselines.seeds import seed_from


class _Detector(Likelihood):
    bound: ClassVar[Literal["exact", "lower", "score"]] = "score"

    def make(self, seed: int) -> Any:
        """The unfitted scikit-learn estimator."""
        raise NotImplementedError

    def fit(self, data: Dataset, *, rng: torch.Generator, progress: Progress) -> None:
        self.model = self.make(seed_from(rng)).fit(_rows(data.train.x))

    def score(self, x: Tensor, *, rng: torch.Generator | None = None) -> Tensor:
        return torch.from_numpy(self.model.score_samples(_rows(x))).to(x)


class IsolationForestScore(_Detector):
    """Isolation forest (Liu, Ting and Zhou 2008): minus the anomaly score, in [-1, 0]."""

    def __init__(self, trees: int = 100) -> None:
        require_at_least("isolation_forest", 1, trees=trees)
        self.trees = trees

    def make(self, seed: int) -> Any:
        from sklearn.ensemble import IsolationForest

        return IsolationForest(n_estimators=self.trees, random_state=seed)


class LocalOutlierFactorScore(_Detector):
    """Local outlier factor (Breunig et al. 2000): minus the factor, about -1 for inliers."""

    def __init__(self, neighbours: int = 20) -> None:
        require_at_least("lof", 1, neighbours=neighbours)
        self.neighbours = neighbours

    def make(self, seed: int) -> Any:
        from sklearn.neighbors import LocalOutlierFactor

        return LocalOutlierFactor(n_neighbors=self.neighbours, novelty=True)


def _rows(x: Tensor) -> np.ndarray:
    return x.flatten(1).cpu().numpy()
