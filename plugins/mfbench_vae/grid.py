"""The prior of GridVAE: p(z) = 1/K sum_k N(z; c_k, std^2 I), centres on a grid (Tu et al. 2023, Eq. 24-28).

The centres are all combinations of a list of values a dimension, so p(z) is a product over dimensions of
one-dimensional mixtures: nothing here grows with K, which is 2^40 for 40 attributes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mfbench_vae.posterior import Posterior


class Grid(nn.Module):
    """Centres on each axis, and their standard deviation. Axes may have different numbers of centres.

    centres: (d, m), each axis from low to high, shorter axes filled up with their last centre. used: (d, m)
    bool, False where filled up. std: of the centres of each axis, or one for all.
    """

    centres: Tensor
    used: Tensor
    stds: Tensor

    def __init__(self, axes: Sequence[Sequence[float]], std: float | Sequence[float]) -> None:
        super().__init__()
        longest = max(map(len, axes))
        filled = [[*axis, *[axis[-1]] * (longest - len(axis))] for axis in axes]
        used = [[place < len(axis) for place in range(longest)] for axis in axes]
        self.register_buffer("centres", torch.tensor(filled))
        self.register_buffer("used", torch.tensor(used))
        each = [std] * len(axes) if isinstance(std, float) else list(std)
        self.register_buffer("stds", torch.tensor(each, dtype=torch.float64), persistent=False)

    @property
    def std(self) -> Tensor:
        """(d,), in the precision of the centres."""
        return self.stds.to(self.centres.dtype)

    @property
    def log_count(self) -> float:
        """log K, K the number of centres of the whole grid."""
        return float(self.used.sum(1).double().log().sum())

    def index(self, z: Tensor) -> Tensor:
        """(n, d) int64, the place of the nearest centre on each axis; of two equally near the lower."""
        apart = (z.detach()[:, :, None] - self.centres).abs()
        return apart.masked_fill(~self.used, torch.inf).argmin(dim=2)

    def at(self, index: Tensor) -> Tensor:
        """The centres (n, d) at these places."""
        axes = torch.arange(len(self.centres), device=index.device)
        return self.centres[axes, index]

    def weights(self, logits: Tensor) -> Tensor:
        """(n, m, d): the softmax of logits (n, m, d) over the centres of each axis."""
        return logits.masked_fill(~self.used.T, -torch.inf).softmax(dim=1)

    def expected(self, logits: Tensor) -> Tensor:
        """(n, d): the mean of the centres of each axis, weighed by the softmax of logits (n, m, d).

        Of two centres the softmax is a sigmoid, from whose ends a squared error takes no gradient: there
        the mean is the line with the sigmoid's slope in the middle, which may leave the grid. Around a single
        centre it is the first logit, in units of `std`.
        """
        weighed, count = (self.weights(logits) * self.centres.T).sum(1), self.used.sum(1)
        low, high = self.centres[:, 0], self.centres[:, -1]
        line = (low + high) / 2 + (high - low) * (logits[:, min(1, logits.shape[1] - 1)] - logits[:, 0]) / 4
        mean = torch.where(count == 2, line, weighed)
        return torch.where(count == 1, low + self.std * logits[:, 0], mean)

    def round(self, z: Tensor) -> Tensor:
        """R(z): the nearest centre, so held to the grid's ends; takes no gradient."""
        return self.at(self.index(z))

    def log_prob(self, z: Tensor) -> Tensor:
        """log p(z_i) of each dimension, (n, d) nats."""
        scaled = (z[:, :, None] - self.centres) / self.std[:, None]
        used = self.used.to(z.dtype)
        weights = used.log() - used.sum(1, keepdim=True).log()
        logs = (weights - scaled.square() / 2).logsumexp(dim=2)
        return logs - self.std.log() - math.log(2 * math.pi) / 2

    def divergence(self, q: Posterior, z: Tensor) -> Tensor:
        """KL(q(z | x) || p) by dimension, (n, d): one draw z of q for log p, the entropy exact (Eq. 26)."""
        return -q.entropy() - self.log_prob(z)

    def nearest_divergence(self, q: Posterior, centre: Tensor | None = None) -> Tensor:
        """KL(q(z | x) || N(R(mean), std^2)) by dimension, (n, d), exact (Eq. 28).

        centre (n, d): what stands in R's place, where it is not NaN (Eq. 28 guided by attributes).
        """
        nearest = self.round(q.mean)
        if centre is not None:
            nearest = torch.where(centre.isnan(), nearest, centre)
        return q.divergence(nearest, self.std)

    def moments(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation (d,) of the centres on each axis; of a single centre std, not 0."""
        count = self.used.sum(1)
        mean = (self.centres * self.used).sum(1) / count
        squares = ((self.centres - mean[:, None]).square() * self.used).sum(1) / count
        return mean, squares.sqrt().maximum(self.std)
