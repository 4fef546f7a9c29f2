"""Likelihoods: how probable a sample is, in nats, in data space."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from mfbench.contracts.method import Method, Progress

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from mfbench.contracts.dataset import Dataset
    from mfbench.contracts.noise import NoisePredictor


class Likelihood(Method):
    """Scores samples by their log-density.

    `bound` says what `log_prob` is: the density itself ("exact"), below it in expectation ("lower"), or not
    a density at all ("score": the method implements `score` and only ranks).
    """

    bound: ClassVar[Literal["exact", "lower", "score"]] = "exact"

    def fit(self, data: Dataset, *, rng: torch.Generator, progress: Progress) -> None:
        """Fit to `data.train`; a likelihood whose reference was fitted has nothing left to do."""

    def log_prob(self, x: Tensor, *, rng: torch.Generator | None = None) -> Tensor:
        """Log-density in nats per sample, shape (n,), of x in data space; -inf is legal, NaN is not."""
        raise NotImplementedError

    def score(self, x: Tensor, *, rng: torch.Generator | None = None) -> Tensor:
        """Shape (n,): higher = more in-distribution. By default the log-density."""
        return self.log_prob(x, rng=rng)


class DiffusionLikelihood(Likelihood):
    """A likelihood read off a noise predictor: `generator`'s, or one assigned directly.

    With a predictor assigned directly (and no generator), model space is data space.
    """

    predictor: NoisePredictor

    def log_weights(self, x: Tensor, *, rounds: int, rng: torch.Generator) -> Tensor:
        """(rounds, n) log importance weights of Eq. 23, in nats: their spread is a result.

        Left as it is by likelihoods without rounds, such as the flow's.
        """
        raise NotImplementedError
