"""The log-density under the probability-flow ODE (Song et al. 2021b, section 4.3), in DDIM's variables.

    log p(x_0) = log N(x_T; 0, I) + d/2 log abar_T + integral_0^{sigma_T} sqrt(abar) div_x eps dsigma,

integrated by classical RK4 in u = asinh(sigma / 0.1), together with the flow that carries x_0 to x_T.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from mfbench import Ref
from mfbench_diffusion.arguments import require_at_least
from mfbench_diffusion.divergence import Divergence, exact_divergence, hutchinson_divergence
from mfbench_diffusion.grids import ASINH_SCALE, Level, asinh_grid
from mfbench_diffusion.model_space import ModelSpaceLikelihood, standard_normal

EXACT_UP_TO = 64
"""Dimensions up to which `divergence = "auto"` is exact: one vector-Jacobian product a dimension."""


class DiffusionODE(ModelSpaceLikelihood):
    """The density of the continuous flow, by `steps` steps of RK4: 4 `steps` evaluations.

    `divergence`: "exact", "hutchinson" (Rademacher probes, fresh at every stage), or "auto": exact up to 64
    dimensions. `probes`: a stage, of the latter. `chunk`: rows integrated together.
    """

    def __init__(
        self,
        generator: Ref = "ddpm_mlp",
        steps: int = 50,
        divergence: Literal["auto", "exact", "hutchinson"] = "auto",
        probes: int = 4,
        chunk: int = 4096,
    ) -> None:
        super().__init__(generator)
        require_at_least("diffusion_ode", 1, steps=steps, probes=probes, chunk=chunk)
        self.steps = steps
        self.divergence: Literal["auto", "exact", "hutchinson"] = divergence
        self.probes = probes
        self.chunk = chunk

    def log_prob(self, x: Tensor, *, rng: torch.Generator | None = None) -> Tensor:
        return self.log_prob_with_error(x, rng=rng)[0]

    def log_prob_with_error(self, x: Tensor, *, rng: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """(n,) log-densities and their (n,) standard errors, in nats: that of the probes, 0 where the
        divergence is exact, NaN for a single probe. The error of the integration is not in it.
        """
        model, log_det = self.to_model(x)
        exact = self._is_exact(x)
        parts = [self._integrate(part, exact, rng) for part in torch.split(model, self.chunk)]
        log_probs, variances = (torch.cat(both) for both in zip(*parts))
        return (log_probs + log_det).to(x.dtype), variances.sqrt().to(x.dtype)

    def _is_exact(self, x: Tensor) -> bool:
        if self.divergence == "auto":
            return x[0].numel() <= EXACT_UP_TO
        return self.divergence == "exact"

    def _integrate(self, x: Tensor, exact: bool, rng: torch.Generator | None) -> tuple[Tensor, Tensor]:
        """Log-density of x in model space and its variance, (n,) float64."""
        levels = asinh_grid(self.predictor.schedule, 2 * self.steps)[::-1]  # with the half-steps
        h = math.asinh(levels[-1].sigma / ASINH_SCALE) / self.steps
        y = x.detach()  # x / sqrt(abar) at t = 0
        integral = torch.zeros(len(x), dtype=torch.float64, device=x.device)
        variance = torch.zeros_like(integral)
        for i in range(0, 2 * self.steps, 2):
            a = self._slope(y, levels[i], exact, rng)
            b = self._slope(y + h / 2 * a.eps, levels[i + 1], exact, rng)
            c = self._slope(y + h / 2 * b.eps, levels[i + 1], exact, rng)
            d = self._slope(y + h * c.eps, levels[i + 2], exact, rng)
            y = y + h / 6 * (a.eps + 2 * b.eps + 2 * c.eps + d.eps)
            integral += h / 6 * (a.trace + 2 * b.trace + 2 * c.trace + d.trace)
            variance += (h / 6) ** 2 * (a.variance + 4 * b.variance + 4 * c.variance + d.variance)
        final = levels[-1]
        log_volume = x[0].numel() / 2 * math.log(final.alpha_bar) + integral
        return standard_normal(final.scale * y) + log_volume, variance

    def _slope(self, y: Tensor, level: Level, exact: bool, rng: torch.Generator | None) -> Divergence:
        """dy/du = eps dsigma/du, and the integrand sqrt(abar) div_x eps dsigma/du with its variance."""
        x = level.scale * y
        if exact:
            at = exact_divergence(self.predictor, x, level.t)
        else:
            at = hutchinson_divergence(self.predictor, x, level.t, self.probes, rng)
        rate = math.hypot(level.sigma, ASINH_SCALE)  # dsigma/du
        return Divergence(
            rate * at.eps, level.scale * rate * at.trace, (level.scale * rate) ** 2 * at.variance
        )
