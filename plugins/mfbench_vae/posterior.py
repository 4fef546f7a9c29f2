"""q(z | x), a Gaussian with independent dimensions, and the aggregate posterior q(z) = E_x q(z | x)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

_LOG_2PI = math.log(2 * math.pi)
_LOG_STD = (-7.0, 3.0)
"""Standard deviations are held to [e^-7, e^3]: beyond, the first batches of a training may overflow."""


@dataclass(frozen=True)
class Posterior:
    """Means and log-standard-deviations, (n, d) each."""

    mean: Tensor
    log_std: Tensor

    @classmethod
    def of(cls, outputs: Tensor) -> Posterior:
        """From an encoder's outputs (n, 2 d)."""
        mean, log_std = outputs.chunk(2, dim=1)
        return cls(mean, log_std.clamp(*_LOG_STD))

    def at(self, noise: Tensor) -> Tensor:
        """z = mean + std * noise."""
        return self.mean + self.log_std.exp() * noise

    def entropy(self) -> Tensor:
        """(n, d) nats of each dimension."""
        return self.log_std + (1 + _LOG_2PI) / 2

    def divergence(self, mean: Tensor | float = 0.0, std: Tensor | float = 1.0) -> Tensor:
        """KL(q || N(mean, std^2)), (n, d) nats of each dimension; both broadcast to (n, d)."""
        log_std = std.log() if isinstance(std, Tensor) else math.log(std)
        ratio = (2 * (self.log_std - log_std)).exp()
        return (ratio + ((self.mean - mean) / std).square() - 1) / 2 - self.log_std + log_std

    def pairwise_log_prob(self, z: Tensor) -> Tensor:
        """log q(z_i | x_j), (n, n, d): of every sample z (n, d) under every posterior, by dimension."""
        scaled = (z[:, None] - self.mean) * (-self.log_std).exp()
        return -scaled.square() / 2 - self.log_std - _LOG_2PI / 2


def stratified_log_weights(batch: int, count: int, like: Tensor) -> Tensor:
    """log of the weights, (batch, batch), of minibatch stratified sampling (Chen et al. 2018, appendix C.2).

    sum_j w_ij q(z_i | x_j) estimates q(z_i) = 1/count sum_n q(z_i | x_n) without bias: 1/count for the image
    that z_i came from, (count - M) / (count M) for one other, 1/M for the rest, M = batch - 1. The authors'
    code puts 1/count in the first column where the diagonal is meant; here it is on the diagonal. A batch
    that holds all images, or more rows than there are images, weighs them evenly.
    """
    if batch >= count:
        return like.new_full((batch, batch), -math.log(batch))
    others = batch - 1
    weights = like.new_full((batch, batch), 1 / max(others, 1))
    index = torch.arange(batch, device=like.device)
    weights[index, index] = 1 / count
    if others:
        weights[index, (index + 1) % batch] = (count - others) / (count * others)
    return weights.log()


def aggregate_log_prob(pairwise: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """log q(z_i), (n,), and log q(z_id) of each dimension, (n, d), estimated from a batch.

    pairwise: log q(z_i | x_j), (n, n, d). count: of training images. See `stratified_log_weights`.
    """
    weights = stratified_log_weights(len(pairwise), count, pairwise)
    joint = torch.logsumexp(weights + pairwise.sum(2), dim=1)
    each = torch.logsumexp(weights[:, :, None] + pairwise, dim=1)
    return joint, each


def total_correlation(pairwise: Tensor, count: int) -> Tensor:
    """KL(q(z) || prod_d q(z_d)), a number in nats, estimated from log q(z_i | x_j) (n, n, d)."""
    joint, each = aggregate_log_prob(pairwise, count)
    return (joint - each.sum(1)).mean()
