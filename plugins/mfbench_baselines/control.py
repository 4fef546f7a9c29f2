"""The control: a likelihood whose network was never trained. What it scores is the architecture's doing."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor

from mfbench import Likelihood, Ref, Role

UNTRAINED = {"name": "diffusion_markov", "generator": {"name": "ddpm_mlp", "iterations": 0}}


class UntrainedNetwork(Likelihood):
    """Scores of another likelihood, by default Eq. 23 on a network with random weights.

    What it gives is the log-density of no fitted model, so it counts as a score.
    """

    role: ClassVar[Role] = "control"
    bound: ClassVar[Literal["exact", "lower", "score"]] = "score"

    def __init__(self, likelihood: Annotated[Ref, "likelihood"] = UNTRAINED) -> None:
        self.likelihood = likelihood

    def score(self, x: Tensor, *, rng: torch.Generator | None = None) -> Tensor:
        scores: Tensor = self.likelihood.score(x, rng=rng)
        return scores
