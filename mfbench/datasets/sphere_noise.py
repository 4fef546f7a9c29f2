"""The exact noise predictor of points on a sphere: a curved manifold, seen by a network without error."""

from __future__ import annotations

import torch
from torch import Tensor

from mfbench.datasets.exact_noise import GaussianPredictor
from mfbench.schedules import LinearSchedule

LEVELS = 48
"""Of the continued fraction: with them the quotient is exact to 1e-13, whatever kappa and the dimension."""


class SpherePredictor(GaussianPredictor):
    """eps for x_0 = Q u + s xi: u uniform on the unit sphere in R^p, Q (D, p) an isometry, xi ~ N(0, I).

    With v = abar s^2 + 1 - abar, y = Q^T x_t and kappa = sqrt(abar) |y| / v, the law of u given x_t is von
    Mises and Fisher's around y, of concentration kappa. Its mean: A(kappa) y / |y|, A = I_{p/2} / I_{p/2-1}:
    eps = sqrt(1 - abar) / v (x_t - sqrt(abar) Q A(kappa) y / |y|). Exact for t > 0, with noise for all t.
    """

    def __init__(self, schedule: LinearSchedule, basis: Tensor, dim: int, noise: float) -> None:
        """`basis`: orthogonal (D, D) float64, whose first p = `dim` columns are Q; `noise`: s."""
        super().__init__(schedule, torch.full((len(basis),), noise**2, dtype=basis.dtype), basis)
        self.dim = dim
        self.noise = noise

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        """eps (n, D) for x (n, D) at times t (n,)."""
        frame = self.constants_on(x.device)["basis"][:, : self.dim]
        alpha_bar, beta_bar = self.levels(t)
        variance = alpha_bar * self.noise**2 + beta_bar
        y = x.double() @ frame
        squared = alpha_bar * y.square().sum(1, keepdim=True) / variance.square()
        mean = bessel_quotient(squared, self.dim) * alpha_bar.sqrt() / variance * y
        towards = beta_bar.sqrt() / variance * alpha_bar.sqrt() * mean @ frame.T
        return (super().__call__(x.double(), t) - towards).to(x.dtype)


def bessel_quotient(squared: Tensor, dim: int) -> Tensor:
    """I_{p/2}(kappa) / (kappa I_{p/2 - 1}(kappa)), float64, for kappa^2 >= 0 and p = `dim`; 1 / p at 0.

    Gauss's continued fraction q_m = 1 / (2 m + kappa^2 q_{m+1}) from m = p/2 on, taken from its far end. It
    is smooth in kappa^2, so differentiable at 0 as well.
    """
    quotient = _far_quotient(squared, dim / 2 + LEVELS)
    for level in range(LEVELS - 1, -1, -1):
        quotient = 1 / (dim + 2 * level + squared * quotient)
    return quotient


def _far_quotient(squared: Tensor, order: float) -> Tensor:
    """I_m(kappa) / (kappa I_{m - 1}(kappa)) for a large m = `order`: 1 / (m + kappa I_m' / I_m).

    I_m' and I_m by their uniform expansions (DLMF 10.41.3 and 10.41.5), whose exponentials cancel.
    """
    length = (order**2 + squared).sqrt()
    p = order / length
    s = p.square()
    u = 1 + p * (3 - 5 * s) / (24 * order)
    v = 1 + p * (-9 + 7 * s) / (24 * order)
    u = u + s * (81 + s * (-462 + 385 * s)) / (1152 * order**2)
    v = v + s * (-135 + s * (594 - 455 * s)) / (1152 * order**2)
    u = u + p * s * (30375 + s * (-369603 + s * (765765 - 425425 * s))) / (414720 * order**3)
    v = v + p * s * (-42525 + s * (451737 + s * (-883575 + 475475 * s))) / (414720 * order**3)
    return 1 / (order + length * v / u)
