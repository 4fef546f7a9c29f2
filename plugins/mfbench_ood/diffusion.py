"""What the scores read off a diffusion model have in common."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from mfbench import DataSpec, Likelihood, NoiseSchedule
from mfbench_ood.levels import Level
from mfbench_ood.references import require_diffusion


class DiffusionScore(Likelihood):
    """A score from the noise predictor of `generator`, in its model space, `chunk` samples at a time.

    A subclass gives `score_rows`.
    """

    bound: ClassVar[Literal["exact", "lower", "score"]] = "score"

    def __init__(self, generator: Any, chunk: int) -> None:
        self.generator = generator
        self.chunk = chunk

    def build(self, spec: DataSpec) -> None:
        require_diffusion(self.generator, type(self).__name__)

    @property
    def schedule(self) -> NoiseSchedule:
        """The schedule of the generator's predictor."""
        schedule: NoiseSchedule = self.generator.predictor.schedule
        return schedule

    def eps(self, x_t: Tensor, level: Level) -> Tensor:
        """eps(x_t, t), one time for all of x_t (n, ...) in model space. The times are one number expanded: a
        predictor may see that (stride 0) and embed it once.
        """
        t = torch.full((), level.t, dtype=x_t.dtype, device=x_t.device).expand(len(x_t))
        eps: Tensor = self.generator.predictor(x_t, t)
        return eps

    @torch.no_grad()
    def score(self, x: Tensor, *, rng: torch.Generator | None = None) -> Tensor:
        parts = [self.score_rows(part, rng) for part in torch.split(x, self.chunk)]
        return torch.cat(parts).to(x.dtype)

    def score_rows(self, x: Tensor, rng: torch.Generator | None) -> Tensor:
        """Scores (n,) of at most `chunk` samples x in data space; called without gradients."""
        raise NotImplementedError
