"""Laws of an image given its code: each a density, in nats, of pixel values in data space.

A decoder gives `parameters` numbers a pixel value; `log_prob` reads them as (n, parameters, c, h, w).
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.distributions import ContinuousBernoulli
from torch.nn.functional import logsigmoid

from mfbench_ood.images import GREY_LEVELS, grey_levels

_LEAST_LOG_SCALE = -7.0
"""A logistic a quarter of a grey level wide: narrower ones put all their mass on one level as well."""


class PixelLaw(nn.Module):
    """p(x | output), independent over pixel values."""

    parameters_per_value: ClassVar[int] = 1

    def log_prob(self, output: Tensor, x: Tensor) -> Tensor:
        """(n,) nats of x (n, c, h, w), for output (n, parameters_per_value, c, h, w)."""
        raise NotImplementedError

    def sample(self, output: Tensor, rng: torch.Generator) -> Tensor:
        """One draw an output, (n, c, h, w), held to [0, 1]."""
        raise NotImplementedError


class Gaussian(PixelLaw):
    """N(output, s^2) on the real line, one learned s for all pixels, at least half a grey level."""

    LEAST = math.log(0.5 / GREY_LEVELS)

    def __init__(self) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(-2.0))

    def log_prob(self, output: Tensor, x: Tensor) -> Tensor:
        log_scale = self.log_scale.clamp(min=self.LEAST)
        squares = ((x - output[:, 0]) / log_scale.exp()).square()
        return -(squares / 2 + log_scale + math.log(2 * math.pi) / 2).flatten(1).sum(1)

    def sample(self, output: Tensor, rng: torch.Generator) -> Tensor:
        mean = output[:, 0]
        noise = torch.randn(mean.shape, generator=rng, dtype=mean.dtype, device=mean.device)
        return (mean + self.log_scale.clamp(min=self.LEAST).exp() * noise).clamp(0, 1)


class ContinuousBernoulliLaw(PixelLaw):
    """The continuous Bernoulli on [0, 1] (Loaiza-Ganem and Cunningham 2019), logits from the output.

    What is usually trained as "Bernoulli" on grey values lacks its normalising constant and is no density.
    """

    def log_prob(self, output: Tensor, x: Tensor) -> Tensor:
        law = ContinuousBernoulli(logits=output[:, 0], validate_args=False)
        log_prob: Tensor = law.log_prob(x)
        return log_prob.flatten(1).sum(1)

    def sample(self, output: Tensor, rng: torch.Generator) -> Tensor:
        logits = output[:, 0]
        u = torch.rand(logits.shape, generator=rng, dtype=logits.dtype, device=logits.device)
        x: Tensor = ContinuousBernoulli(logits=logits, validate_args=False).icdf(u)
        return x


class DiscretisedLogistic(PixelLaw):
    """A logistic law cut into the 256 grey levels (Salimans et al. 2017), its location and log-scale given.

    The probability of the level that x lies in, times 256: the density on [0, 1] of the uniformly dequantised
    image. The outermost levels have the tails. Constant within a level, so its gradient in x is 0.
    """

    parameters_per_value = 2

    def log_prob(self, output: Tensor, x: Tensor) -> Tensor:
        location, log_scale = output[:, 0], output[:, 1].clamp(min=_LEAST_LOG_SCALE)
        width = (-log_scale).exp() / GREY_LEVELS
        level = grey_levels(x)
        below = width * (level - GREY_LEVELS * location)
        above = below + width
        # F(b) - F(a) = F(b) F(-a) (1 - e^(a - b)): no difference of close numbers
        log_mass = logsigmoid(above) + logsigmoid(-below) + torch.log(-torch.expm1(-width))
        log_mass = torch.where(level == 0, logsigmoid(above), log_mass)
        log_mass = torch.where(level == GREY_LEVELS - 1, logsigmoid(-below), log_mass)
        return (log_mass + math.log(GREY_LEVELS)).flatten(1).sum(1)

    def sample(self, output: Tensor, rng: torch.Generator) -> Tensor:
        location, log_scale = output[:, 0], output[:, 1].clamp(min=_LEAST_LOG_SCALE)
        u = torch.rand(location.shape, generator=rng, dtype=location.dtype, device=location.device)
        return grey_levels(location + log_scale.exp() * torch.logit(u, eps=1e-6)) / (GREY_LEVELS - 1)


LAWS: dict[str, type[PixelLaw]] = {
    "gaussian": Gaussian,
    "continuous_bernoulli": ContinuousBernoulliLaw,
    "discretised_logistic": DiscretisedLogistic,
}
