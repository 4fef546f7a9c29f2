"""Mixture of Gaussians with full covariances, fitted by EM (Dempster, Laird and Rubin 1977; scikit-learn).

p(x) = sum_k w_k N(x; m_k, L_k L_k^T). scikit-learn fits in float64 on the CPU; density and samples are
torch's, on the device of the data. The state is the mixture's parameters.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

from mfbench import Dataset, DataSpec, GenerativeModel, Likelihood, Method, Progress, UserError
from mfbench_baselines.arguments import require_at_least
from mfbench_baselines.seeds import seed_from

NUMBERS_AT_ONCE = 2**22
"""Entries of the whitened differences (n, k, d) held at a time."""


@dataclass(frozen=True)
class Mixture:
    """weights (k,), means (k, d) and lower Cholesky factors of the covariances (k, d, d)."""

    weights: Tensor
    means: Tensor
    scale_tril: Tensor

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x), nats, (n,), for x (n, d)."""
        law = MixtureSameFamily(
            Categorical(self.weights, validate_args=False),
            MultivariateNormal(self.means, scale_tril=self.scale_tril, validate_args=False),
            validate_args=False,
        )
        rows = max(1, NUMBERS_AT_ONCE // self.means.numel())
        return torch.cat([law.log_prob(part) for part in x.split(rows)])

    def sample(self, count: int, rng: torch.Generator) -> Tensor:
        """(count, d) independent draws: a component by its weight, then a Gaussian."""
        chosen = torch.multinomial(self.weights, count, replacement=True, generator=rng)
        noise = torch.randn(
            count, self.means.shape[1], generator=rng, device=self.means.device, dtype=self.means.dtype
        )
        x = torch.empty_like(noise)
        for k in chosen.unique():
            x[chosen == k] = self.means[k] + noise[chosen == k] @ self.scale_tril[k].T
        return x


def fit_mixture(x: Tensor, components: int, rng: torch.Generator) -> Mixture:
    """EM from k-means, on x (n, d); the result has x's dtype and device."""
    from sklearn.mixture import GaussianMixture

    if len(x) < components:
        raise UserError(
            f"gmm: {components} components need at least as many points; the data set has {len(x)}"
        )
    model = GaussianMixture(components, max_iter=200, random_state=seed_from(rng))
    model.fit(x.double().cpu().numpy())
    covariances = torch.from_numpy(model.covariances_)
    parameters = (
        torch.from_numpy(model.weights_),
        torch.from_numpy(model.means_),
        torch.linalg.cholesky(covariances),
    )
    return Mixture(*(parameter.to(x) for parameter in parameters))


class _Fitted(Method):
    """What the likelihood and the generator share: the fit and its state."""

    def __init__(self, components: int = 50) -> None:
        require_at_least("gmm", 1, components=components)
        self.components = components

    def build(self, spec: DataSpec) -> None:
        self.shape = spec.shape
        k, dim = self.components, math.prod(spec.shape)
        shapes = ((k,), (k, dim), (k, dim, dim))
        self.mixture = Mixture(*(torch.zeros(s, device=spec.device, dtype=spec.dtype) for s in shapes))

    def fit(self, data: Dataset, *, rng: torch.Generator, progress: Progress) -> None:
        self.mixture = fit_mixture(data.train.x.flatten(1), self.components, rng)

    def state_dict(self) -> Mapping[str, Tensor]:
        return {field.name: getattr(self.mixture, field.name) for field in fields(Mixture)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.mixture = Mixture(**{field.name: state[field.name] for field in fields(Mixture)})


class MixtureLikelihood(_Fitted, Likelihood):
    """Exact density of the mixture of `components` Gaussians."""

    def log_prob(self, x: Tensor, *, rng: torch.Generator | None = None) -> Tensor:
        return self.mixture.log_prob(x.flatten(1))


class MixtureGenerator(_Fitted, GenerativeModel):
    """Draws from the mixture of `components` Gaussians."""

    def sample(self, count: int, *, rng: torch.Generator) -> Tensor:
        return self.mixture.sample(count, rng).unflatten(1, self.shape)
