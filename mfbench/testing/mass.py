"""How much probability a density in the plane holds: the integral of exp(log_prob), by importance sampling.

A grid would have to be as fine as the narrowest ridge of a density fitted to a few hundred points, and reach
as far as its tails. Points are drawn instead wherever a density of such data may be (a scrambled Sobol
sequence of fixed seed), and weighted.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from scipy.stats import qmc
from torch import Tensor

FIRST, MOST = 512, 2**14
"""Points drawn at first, and at most: they are doubled until the error is small."""
SMALL = 0.05
"""Standard error, relative to the integral, at which no more points are drawn."""
_RATIO, _SCALES = 4.0, 6
"""Widths of the kernels around training points: the data's standard deviation, and 1/4, 1/16, ... of it."""
_TAILS = 3
"""Degrees of freedom of the wide part, whose tails no Gaussian outruns."""

LogDensity = Callable[[Tensor], Tensor]
"""log_prob, nats, (n,), of points (n, 2) in the dtype and on the device of the data."""


@dataclass(frozen=True)
class Weighted:
    """Points of the proposal: `log_prob` there and the proposal's own log-density, nats, (n,) float64."""

    log_prob: Tensor
    log_proposal: Tensor

    def log_integral(self, base: float = math.e) -> float:
        """Of base^log_prob over the plane: its natural logarithm; -inf where all of it is zero."""
        log_weights = self.log_prob * math.log(base) - self.log_proposal
        return float(log_weights.logsumexp(0)) - math.log(len(log_weights))

    @property
    def error(self) -> float:
        """Standard error of the integral of exp(log_prob), relative to it; 0 where that is zero."""
        largest = float((self.log_prob - self.log_proposal).max())
        if largest == -math.inf:
            return 0.0
        weights = (self.log_prob - self.log_proposal - largest).exp()
        return float(weights.std() / weights.mean()) / math.sqrt(len(weights))


def weigh(log_prob: LogDensity, x: Tensor) -> Weighted:
    """Ask a density about points around the training points x (n, 2), until its integral is known well."""
    proposal, sequence = Proposal(x), qmc.Sobol(5, rng=0)
    log_probs, log_proposals = [], []
    drawn = 0
    while drawn < MOST:
        points = proposal.points(torch.from_numpy(sequence.random(max(drawn, FIRST)))).to(x.dtype)
        log_probs.append(log_prob(points.to(x.device)).detach().double().cpu())
        log_proposals.append(proposal.log_density(points.double()))
        drawn += len(points)
        weighted = Weighted(torch.cat(log_probs), torch.cat(log_proposals))
        if weighted.error <= SMALL:
            break
    return weighted


class Proposal:
    """Half a wide Student t, half Gaussian kernels of several widths around the training points (n, 2)."""

    def __init__(self, x: Tensor) -> None:
        self.centres = x.detach().double().cpu()
        self.middle = self.centres.mean(0)
        spread = float(self.centres.std(0).mean())
        self.wide = 2 * spread
        self.widths = spread / _RATIO ** torch.arange(_SCALES, dtype=torch.float64)

    def points(self, uniform: Tensor) -> Tensor:
        """(n, 2) float64 from uniform numbers (n, 5) in [0, 1)."""
        part, centre, scale, angle, radius = uniform.unbind(1)
        angle = 2 * math.pi * angle
        direction = torch.stack([angle.cos(), angle.sin()], dim=1)
        # in the plane, P(r > s) is exp(-s^2 / 2) of a Gaussian and (1 + s^2 / v)^(-v / 2) of a t
        gaussian = (-2 * torch.log1p(-radius)).sqrt() * self.widths[(scale * _SCALES).long()]
        student = (_TAILS * ((1 - radius) ** (-2 / _TAILS) - 1)).sqrt() * self.wide
        near = self.centres[(centre * len(self.centres)).long()]
        far = (part < 0.5)[:, None]
        return torch.where(
            far, self.middle + student[:, None] * direction, near + gaussian[:, None] * direction
        )

    def log_density(self, x: Tensor) -> Tensor:
        """Nats, (n,), for x (n, 2) float64."""
        distance = ((x - self.middle) / self.wide).square().sum(1)
        student = -(_TAILS / 2 + 1) * torch.log1p(distance / _TAILS) - math.log(2 * math.pi * self.wide**2)
        squared = torch.cdist(x, self.centres, compute_mode="donot_use_mm_for_euclid_dist").square()
        variance = self.widths.square()
        kernels = -squared[:, :, None] / (2 * variance) - (2 * math.pi * variance).log()
        gaussians = kernels.flatten(1).logsumexp(1) - math.log(len(self.centres) * _SCALES)
        return torch.logaddexp(student, gaussians) - math.log(2)
