"""Densities of a few statistics a sample: a Gaussian mixture or a kernel density on standardised statistics.

Both are mixtures of Gaussians, so their state is the same few tensors. Only for ranking: the constant of the
standardisation is left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor

from mfbench import UserError
from mfbench_ood.randomness import seed_from

DensityKind: TypeAlias = Literal["gmm", "kde"]

_RIDGE = 1e-6
"""Added to the variances of standardised statistics."""
_NUMBERS_AT_ONCE = 2**22


@dataclass(frozen=True)
class StatisticsDensity:
    """sum_j w_j N(u; c_j, L_j L_j^T) of u = (statistics - mean) / scale; all float64.

    mean, scale (k,); weights (m,); centres (m, k); scale_tril (m, k, k), or (1, k, k) where all share one.
    """

    mean: Tensor
    scale: Tensor
    weights: Tensor
    centres: Tensor
    scale_tril: Tensor

    def log_prob(self, statistics: Tensor) -> Tensor:
        """(n,) log-densities of the standardised `statistics` (n, k), in nats."""
        u = (statistics.double() - self.mean) / self.scale
        rows = max(1, _NUMBERS_AT_ONCE // self.centres.numel())
        return torch.cat([self._log_prob(part) for part in torch.split(u, rows)])

    def _log_prob(self, u: Tensor) -> Tensor:
        whiten = torch.linalg.inv(self.scale_tril)  # (m or 1, k, k), small
        centres = torch.einsum("mij,mj->mi", whiten.expand(len(self.centres), -1, -1), self.centres)
        white = u @ whiten.mT  # (m or 1, n, k)
        squares = (white - centres[:, None]).square().sum(2)  # (m, n)
        log_det = self.scale_tril.diagonal(dim1=1, dim2=2).log().sum(1)
        constant = self.weights.log() - log_det - u.shape[1] / 2 * math.log(2 * math.pi)
        log_prob: Tensor = (constant[:, None] - squares / 2).logsumexp(0)
        return log_prob

    def state(self) -> Mapping[str, Tensor]:
        """The tensors, by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def of_state(cls, state: Mapping[str, Any]) -> StatisticsDensity:
        """The inverse of `state`."""
        return cls(**{field.name: state[field.name] for field in fields(cls)})


def fit_density(
    statistics: Tensor, kind: DensityKind, components: int, rng: torch.Generator
) -> StatisticsDensity:
    """A mixture of `components` Gaussians by EM, or a kernel density, of `statistics` (n, k).

    UserError where there are too few samples.
    """
    statistics = statistics.double()
    needed = max(components, 2) if kind == "gmm" else 2
    if len(statistics) < needed:
        raise UserError(f"{kind}: {needed} samples are needed to fit it, there are {len(statistics)}")
    mean, scale = statistics.mean(0), statistics.std(0, correction=0)
    scale = torch.where(scale > 0, scale, torch.ones_like(scale))
    u = (statistics - mean) / scale
    parts = _mixture(u, components, rng) if kind == "gmm" else _kernels(u)
    return StatisticsDensity(mean, scale, *parts)


def _mixture(u: Tensor, components: int, rng: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """EM from k-means (scikit-learn)."""
    from sklearn.mixture import GaussianMixture

    model = GaussianMixture(components, reg_covar=_RIDGE, max_iter=200, random_state=seed_from(rng))
    model.fit(u.cpu().numpy())
    weights, means, covariances = (
        torch.from_numpy(values).to(u) for values in (model.weights_, model.means_, model.covariances_)
    )
    return weights, means, torch.linalg.cholesky(covariances)


def _kernels(u: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """A Gaussian kernel on each sample, with the samples' covariance times Scott's n^(-2 / (k + 4))."""
    n, k = u.shape
    covariance = torch.atleast_2d(torch.cov(u.T))
    covariance.diagonal().add_(_RIDGE)
    factor = n ** (-1 / (k + 4)) * torch.linalg.cholesky(covariance)
    return torch.full((n,), 1 / n, dtype=u.dtype, device=u.device), u, factor[None]
