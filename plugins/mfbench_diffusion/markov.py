"""The log-density of the reverse Markov chain by sampled forward paths: Eq. 23 of Tu et al. 2023.

    log w = log p(x_T) + sum_t [log p(x_s | x_t) - log q(x_t | x_s)],    x_{1:T} ~ q(. | x_0)

is a random log importance weight: its mean over paths is the evidence lower bound, the log-mean-exp over K
paths the tighter importance-weighted bound (Burda et al. 2016). Both lie, in expectation, below the density
of the *discretised* chain, to which the second converges as K grows.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor

from mfbench import Ref, Unsupported
from mfbench_diffusion.arguments import require_at_least
from mfbench_diffusion.grids import LEAST_STEP, evaluate, t_grid
from mfbench_diffusion.model_space import ModelSpaceLikelihood, standard_normal
from mfbench_diffusion.randomness import required
from mfbench_diffusion.transition import Transition, Variance


class DiffusionMarkov(ModelSpaceLikelihood):
    """Eq. 23 with `rounds` paths a point, `step` h in units of 1/T, averaged by `reduce`.

    A `step` beyond the generator's T is Unsupported.
    `variance`: of the reverse transitions, as in `ddpm`. The last one (to s = 0) always has the first
    variance, beta: the second is 0 there and its log-density would not exist.
    `reduce`: "mean" for the lower bound, "logmeanexp" for the importance-weighted one.
    `chunk`: rows carried along together; it bounds the memory, and rows that stay in the cache are faster.
    """

    bound = "lower"

    def __init__(
        self,
        generator: Ref = "ddpm_mlp",
        rounds: int = 10,
        step: float = 1.0,
        variance: Variance = "beta",
        reduce: Literal["mean", "logmeanexp"] = "mean",
        chunk: int = 4096,
    ) -> None:
        super().__init__(generator)
        require_at_least("diffusion_markov", 1, rounds=rounds, chunk=chunk)
        require_at_least("diffusion_markov", LEAST_STEP, step=step)
        self.rounds = rounds
        self.step = step
        self.variance: Variance = variance
        self.reduce: Literal["mean", "logmeanexp"] = reduce
        self.chunk = chunk

    def log_prob(self, x: Tensor, *, rng: torch.Generator | None = None) -> Tensor:
        weights = self.log_weights(x, rounds=self.rounds, rng=rng)
        if self.reduce == "mean":
            return weights.mean(0)
        return weights.logsumexp(0) - math.log(self.rounds)

    @torch.no_grad()
    def log_weights(self, x: Tensor, *, rounds: int, rng: torch.Generator | None) -> Tensor:
        """(rounds, n) log importance weights in nats, in x's dtype."""
        model, log_det = self.to_model(x)
        transitions = self._transitions()
        rows = torch.arange(rounds * len(x), device=x.device) % len(x)
        rng = required(rng)
        parts = [self._path_weights(model[part], transitions, rng) for part in torch.split(rows, self.chunk)]
        return (torch.cat(parts) + log_det).to(x.dtype).view(rounds, len(x))

    def _transitions(self) -> list[tuple[float, Transition, float]]:
        """(t, the transition from s to t, sigma_st^2 / bbar_st) from s = 0 up to t = 1."""
        last = self.predictor.schedule.num_steps
        if self.step > last:
            raise Unsupported(
                f"a step of h = {self.step:g} is longer than the whole schedule of T = {last} steps"
            )
        levels = t_grid(self.predictor.schedule, self.step)[::-1]
        steps = []
        for early, late in pairwise(levels):
            transition = Transition(early, late)
            first = self.variance == "beta" or early.t == 0
            steps.append((late.t, transition, 1.0 if first else transition.noise_ratio))
        return steps

    def _path_weights(
        self,
        x: Tensor,
        steps: list[tuple[float, Transition, float]],
        rng: torch.Generator,
    ) -> Tensor:
        """The log weight of one path from each row of x, (n,) float64.

        With x_t = sqrt(abar_st) x_s + sqrt(bbar_st) z, the reverse residual (x_s - mu) / sigma_st is
        r = b eps - q z, q = 1 / sqrt(abar_st rho), b = q sqrt(bbar_st / (1 - abar_t)), rho = sigma_st^2 /
        bbar_st, so that log p(x_s | x_t) - log q(x_t | x_s) = (|z|^2 - |r|^2) / 2 - d/2 log rho. The
        difference of squares is taken as (z - r)(z + r), which keeps its digits where eps is nearly z, and
        as -b^2 (eps - (1 + q)/b z)(eps + (1 - q)/b z), which takes three passes.
        """
        dim = x[0].numel()
        x = x.clone()
        z = torch.empty_like(x)
        squares = torch.zeros_like(x)  # sum over t of z^2 - r^2, coordinate by coordinate
        for t, transition, rho in steps:
            z.normal_(generator=rng)
            x.mul_(transition.alpha_bar**0.5).add_(z, alpha=transition.beta_bar**0.5)
            eps = evaluate(self.predictor, x, t)
            q = 1 / (transition.alpha_bar * rho) ** 0.5
            b = q * transition.beta_share**0.5
            difference = torch.sub(eps, z, alpha=(1 + q) / b)
            squares.addcmul_(difference, eps.add(z, alpha=(1 - q) / b), value=-b * b)
        log_rho = sum(math.log(rho) for *_, rho in steps)
        return (squares.flatten(1).double().sum(1) - dim * log_rho) / 2 + standard_normal(x)
