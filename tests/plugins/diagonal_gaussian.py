"""Independent Gaussians, one a coordinate: a likelihood and a generator that share a fit by reference."""

from typing import Annotated

import torch

import mfbench


class DiagonalGaussian(mfbench.Likelihood):
    """log p(x) = sum_j log N(x_j; mean_j, std_j^2); `floor`: the smallest std."""

    def __init__(self, floor: float = 1e-3):
        self.floor = floor

    def fit(self, data, *, rng, progress):
        x = data.train.x.flatten(1)
        self.mean, self.std = x.mean(0), x.std(0).clamp(min=self.floor)

    def log_prob(self, x, *, rng=None):
        return torch.distributions.Normal(self.mean, self.std).log_prob(x.flatten(1)).sum(1)

    def state_dict(self):
        return {"mean": self.mean, "std": self.std}

    def load_state_dict(self, state):
        self.mean, self.std = state["mean"], state["std"]


class GaussianSampler(mfbench.GenerativeModel):
    """x = mean + scale std z with z ~ N(0, I); mean and std are the likelihood's."""

    def __init__(
        self, likelihood: Annotated[mfbench.Ref, "likelihood"] = "diagonal_gaussian", scale: float = 1.0
    ):
        self.likelihood, self.scale = likelihood, scale

    def fit(self, data, *, rng, progress):
        self.shape = data.shape

    def sample(self, count, *, rng):
        mean, std = self.likelihood.mean, self.likelihood.std
        z = torch.randn(count, len(mean), generator=rng, device=rng.device)
        return (mean + self.scale * std * z).unflatten(1, self.shape)


@mfbench.hookimpl
def mfbench_register(registry):
    registry.likelihood("diagonal_gaussian", DiagonalGaussian, summary="independent Gaussians")
    registry.generator("diagonal_gaussian", GaussianSampler, summary="draws from independent Gaussians")
