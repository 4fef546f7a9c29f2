"""Typicality (Nalisnick, Matsukawa, Teh and Lakshminarayanan 2019), for single samples.

Samples of a distribution in many dimensions lie where log p is close to its mean (minus the entropy), not
where it is highest: a sample with a log p far above that mean is as suspicious as one far below.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import torch
from torch import Tensor

from mfbench import Dataset, DataSpec, Likelihood, Progress, Ref
from mfbench_ood.references import CalibrationSplit, calibration_rows, require_density


class Typicality(Likelihood):
    """-|log p(x) - mean|, the mean that of log p over seen samples: their test on a batch of one.

    `split`, `count`: the seen samples are the first `count` of the split. The validation split by default: a
    model that has seen its training samples gives them more than it gives others.
    """

    bound: ClassVar[Literal["exact", "lower", "score"]] = "score"

    def __init__(
        self,
        likelihood: Annotated[Ref, "likelihood"] = "diffusion_markov",
        split: CalibrationSplit = "val",
        count: int = 5000,
    ) -> None:
        self.likelihood = likelihood
        self.split: CalibrationSplit = split
        self.count = count

    def build(self, spec: DataSpec) -> None:
        require_density(self.likelihood, "typicality")
        self.mean = math.nan

    def fit(self, data: Dataset, *, rng: torch.Generator, progress: Progress) -> None:
        rows = calibration_rows(data, self.split, self.count, "typicality")
        self.mean = float(self.likelihood.log_prob(rows, rng=rng).double().mean())

    def score(self, x: Tensor, *, rng: torch.Generator | None = None) -> Tensor:
        log_prob: Tensor = self.likelihood.log_prob(x, rng=rng)
        return -(log_prob.double() - self.mean).abs().to(x.dtype)

    def state_dict(self) -> Mapping[str, float]:
        return {"mean": self.mean}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.mean = float(state["mean"])
