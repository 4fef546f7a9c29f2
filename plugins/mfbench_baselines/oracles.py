"""What only the data set itself can know: yardsticks and ceilings. Stateless; `fit` keeps the data set."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor

from mfbench import (
    Dataset,
    DiffusionModel,
    GenerativeModel,
    KnowsOutliers,
    Likelihood,
    Progress,
    Ref,
    Role,
    Unsupported,
)
from mfbench_baselines.arguments import require_at_least


class OracleDensity(Likelihood):
    """The true log p_in. A method may exceed it at telling sets apart: it knows nothing of the other set."""

    role: ClassVar[Role] = "reference"

    def fit(self, data: Dataset, *, rng: torch.Generator, progress: Progress) -> None:
        self.data = data

    def log_prob(self, x: Tensor, *, rng: torch.Generator | None = None) -> Tensor:
        return self.data.log_density(x)


class OracleBayes(Likelihood, KnowsOutliers):
    """log p_in - log p_out: by Neyman and Pearson no score has a higher AUROC against that set."""

    role: ClassVar[Role] = "ceiling"
    bound: ClassVar[Literal["exact", "lower", "score"]] = "score"

    def fit(self, data: Dataset, *, rng: torch.Generator, progress: Progress) -> None:
        self.data = data

    def score_against(self, x: Tensor, outliers: Dataset, *, rng: torch.Generator | None = None) -> Tensor:
        return self.data.log_density(x) - outliers.log_density(x)

    def score(self, x: Tensor, *, rng: torch.Generator | None = None) -> Tensor:
        raise Unsupported("oracle_bayes is defined against a known out-distribution set only")


class HeldOut(GenerativeModel):
    """The validation split in random order, without replacement: what a perfect generator would give."""

    role: ClassVar[Role] = "ceiling"

    def fit(self, data: Dataset, *, rng: torch.Generator, progress: Progress) -> None:
        self.data = data

    def sample(self, count: int, *, rng: torch.Generator) -> Tensor:
        x = self.data.val.x
        if count > len(x):
            raise Unsupported(
                f"held_out has the {len(x)} samples of the validation split to give, not {count}"
            )
        return x[torch.randperm(len(x), generator=rng, device=rng.device)[:count]]


class ExactDiffusion(DiffusionModel):
    """The closed-form noise predictor of the data at T = `num_steps`: a network without error.

    Model space is data space. `sampler` is what `sample` integrates with, at h = 1.
    """

    def __init__(self, num_steps: int = 1000, sampler: Annotated[Ref, "sampler"] = "ddim") -> None:
        require_at_least("exact_diffusion", 2, num_steps=num_steps)
        self.num_steps = num_steps
        self.sampler = sampler

    def fit(self, data: Dataset, *, rng: torch.Generator, progress: Progress) -> None:
        self.data = data
        self.predictor = data.noise_predictor(self.num_steps)

    def to_model(self, x: Tensor) -> Tensor:
        return x

    def to_data(self, x: Tensor) -> Tensor:
        return x

    def sample(self, count: int, *, rng: torch.Generator) -> Tensor:
        dtype = self.data.train.x.dtype
        x_start = torch.randn(count, *self.data.shape, generator=rng, device=rng.device, dtype=dtype)
        x: Tensor = self.sampler.sample(self.predictor, x_start, step=1, rng=rng)
        return x
