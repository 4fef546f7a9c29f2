"""Exact noise predictors of a diffusion: E[eps | x_t] = -sqrt(1 - abar) grad log p_t(x_t).

Computed in float64 and given in x's dtype; differentiable in x; on x's device.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mfbench.contracts import NoiseSchedule
from mfbench.schedules import LinearSchedule


class _ExactPredictor:
    """Holds a schedule and float64 constants, copied once to each device they are asked for on."""

    def __init__(self, schedule: LinearSchedule, **constants: Tensor) -> None:
        self.schedule: NoiseSchedule = schedule
        self._log_alpha_bar = schedule.log_alpha_bar
        self._constants = {torch.device("cpu"): constants}

    def constants_on(self, device: torch.device) -> dict[str, Tensor]:
        if device not in self._constants:
            here = self._constants[torch.device("cpu")]
            self._constants[device] = {name: value.to(device) for name, value in here.items()}
        return self._constants[device]

    def levels(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """abar and 1 - abar, (n, 1) float64; the second without cancellation near t = 0."""
        log_alpha_bar = self._log_alpha_bar(t.double())[:, None]
        return log_alpha_bar.exp(), -torch.expm1(log_alpha_bar)


class GaussianPredictor(_ExactPredictor):
    """eps = sqrt(1 - abar) (abar Sigma + (1 - abar) I)^-1 x for x_0 ~ N(0, Sigma), Sigma = Q diag(v) Q^T."""

    def __init__(self, schedule: LinearSchedule, spectrum: Tensor, basis: Tensor) -> None:
        """`spectrum`: v (d,); `basis`: Q (d, d), eigenvectors in columns; float64."""
        super().__init__(schedule, spectrum=spectrum, basis=basis)

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        """eps (n, d) for x (n, d) at times t (n,)."""
        c = self.constants_on(x.device)
        alpha_bar, beta_bar = self.levels(t)
        y = x.double() @ c["basis"] / (alpha_bar * c["spectrum"] + beta_bar)
        return (beta_bar.sqrt() * y @ c["basis"].T).to(x.dtype)


class MixturePredictor(_ExactPredictor):
    """eps for x_0 ~ sum_i w_i N(m_i, s^2 I).

    With v = abar s^2 + 1 - abar, x_t ~ sum_i w_i N(sqrt(abar) m_i, v I); so with responsibilities r_i(x_t),
    eps = sqrt(1 - abar) / v (x - sqrt(abar) sum_i r_i m_i).
    """

    def __init__(self, schedule: LinearSchedule, weights: Tensor, means: Tensor, scale: float) -> None:
        """`weights`: w (k,), summing to 1; `means`: m (k, d); `scale`: s; float64."""
        super().__init__(schedule, log_weights=weights.log(), means=means)
        self.scale = scale

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        """eps (n, d) for x (n, d) at times t (n,)."""
        c = self.constants_on(x.device)
        alpha_bar, beta_bar = self.levels(t)
        variance = alpha_bar * self.scale**2 + beta_bar
        y, means = x.double(), alpha_bar.sqrt()[:, None] * c["means"]  # (n, k, d)
        distances = (y[:, None] - means).square().sum(2)
        responsibilities = (c["log_weights"] - distances / (2 * variance)).softmax(1)
        expected = (responsibilities[:, :, None] * means).sum(1)
        return (beta_bar.sqrt() / variance * (y - expected)).to(x.dtype)
