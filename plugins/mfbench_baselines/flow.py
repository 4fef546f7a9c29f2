"""Neural spline flow (Durkan, Bekasov, Murray and Papamakarios 2019), of zuko (extra `flows`).

The generator `zuko` is the flow and its training; the likelihood `zuko_nsf` is its exact density, and shares
the fit by reference.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from mfbench import Dataset, DataSpec, GenerativeModel, Likelihood, Progress, Ref, UserError
from mfbench_baselines.arguments import require_at_least
from mfbench_baselines.seeds import seed_from


class SplineFlow(GenerativeModel):
    """Autoregressive rational-quadratic splines on standardised data, trained by maximum likelihood.

    transforms: autoregressive layers; width, depth: of their networks; bins: of a spline;
    iterations, batch, learning_rate: Adam with a cosine decay to 0.
    """

    def __init__(
        self,
        transforms: int = 3,
        width: int = 64,
        depth: int = 2,
        bins: int = 8,
        iterations: int = 3000,
        batch: int = 512,
        learning_rate: float = 2e-3,
    ) -> None:
        require_at_least("zuko", 1, transforms=transforms, width=width, bins=bins, batch=batch)
        require_at_least("zuko", 0, depth=depth, iterations=iterations, learning_rate=learning_rate)
        self.transforms, self.width, self.depth, self.bins = transforms, width, depth, bins
        self.iterations, self.batch, self.learning_rate = iterations, batch, learning_rate

    def build(self, spec: DataSpec) -> None:
        self.shape = spec.shape
        dim = math.prod(spec.shape)
        self.flow = self._make(dim, seed=0).to(spec.device, spec.dtype)
        self.mean = torch.zeros(dim, device=spec.device, dtype=spec.dtype)
        self.scale = torch.ones(dim, device=spec.device, dtype=spec.dtype)

    def _make(self, dim: int, seed: int) -> torch.nn.Module:
        try:
            import zuko
        except ImportError as error:
            raise UserError(
                "zuko: the package zuko is not installed; pip install 'mfbench[flows]'"
            ) from error
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            flow: torch.nn.Module = zuko.flows.NSF(
                dim, transforms=self.transforms, bins=self.bins, hidden_features=[self.width] * self.depth
            )
        return flow

    def fit(self, data: Dataset, *, rng: torch.Generator, progress: Progress) -> None:
        x = data.train.x.flatten(1)
        self.mean, self.scale = x.mean(dim=0), x.std(dim=0).clamp_min(1e-6)
        self.flow = self._make(x.shape[1], seed_from(rng)).to(x)
        self._train((x - self.mean) / self.scale, rng, progress)
        self.flow.eval()

    def _train(self, x: Tensor, rng: torch.Generator, progress: Progress) -> None:
        optimiser = torch.optim.Adam(self.flow.parameters(), lr=self.learning_rate)
        decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(1, self.iterations))
        for done in range(self.iterations):
            rows = torch.randint(len(x), (self.batch,), generator=rng, device=rng.device)
            loss = -self.flow().log_prob(x[rows]).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            decay.step()
            progress(done + 1, self.iterations)

    def log_prob(self, x: Tensor) -> Tensor:
        """Exact log-density, nats, (n,), of x in data space."""
        u = (x.flatten(1) - self.mean) / self.scale
        log_prob: Tensor = self.flow().log_prob(u) - self.scale.log().sum()
        return log_prob

    @torch.no_grad()
    def sample(self, count: int, *, rng: torch.Generator) -> Tensor:
        z = torch.randn(count, len(self.mean), generator=rng, device=rng.device, dtype=self.mean.dtype)
        x: Tensor = self.flow().transform.inv(z) * self.scale + self.mean
        return x.unflatten(1, self.shape)

    def state_dict(self) -> Mapping[str, Tensor]:
        return {"mean": self.mean, "scale": self.scale, **self.flow.state_dict(prefix="flow.")}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.mean, self.scale = state["mean"], state["scale"]
        prefix = "flow."
        self.flow.load_state_dict(
            {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
        )


class FlowLikelihood(Likelihood):
    """The exact density of a fitted spline flow."""

    def __init__(self, generator: Ref = "zuko") -> None:
        self.generator = generator

    @torch.no_grad()
    def log_prob(self, x: Tensor, *, rng: torch.Generator | None = None) -> Tensor:
        log_prob: Tensor = self.generator.log_prob(x)
        return log_prob
