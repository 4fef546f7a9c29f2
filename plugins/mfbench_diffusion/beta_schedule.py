"""The noise schedule of a diffusers scheduler, read from its configuration."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from mfbench import UserError

_COSINE_OFFSET, _COSINE_LIMIT = 0.008, 0.999


class BetaSchedule:
    """abar(k/T) = prod_{j<=k} (1 - beta_j) for any betas; log abar is linear between."""

    def __init__(self, betas: Tensor) -> None:
        """`betas`: (T,) float64 between 0 and 1, T at least 2 (ValueError)."""
        if len(betas) < 2:
            raise ValueError(f"{len(betas)} betas: a schedule has at least 2 steps")
        self.num_steps = len(betas)
        steps = torch.log1p(-betas.double()).cumsum(0)
        self._log_alpha_bar = torch.cat([steps.new_zeros(1), steps])
        self._tables: dict[tuple[torch.device, torch.dtype], Tensor] = {}

    def alpha_bar(self, t: Tensor) -> Tensor:
        """abar at times t (any shape, floating; clamped to [0, 1]), in t's dtype and on its device."""
        key = t.device, t.dtype
        if key not in self._tables:
            self._tables[key] = self._log_alpha_bar.to(t.device, t.dtype)
        position = (t * self.num_steps).clamp(0, self.num_steps)
        below = position.detach().floor().clamp(max=self.num_steps - 1)
        k = below.long()
        return torch.lerp(self._tables[key][k], self._tables[key][k + 1], position - below).exp()


def betas_of(config: Mapping[str, Any], file: str) -> Tensor:
    """(T,) float64 from a `scheduler_config.json`; UserError naming `file` and the key that is not known."""
    if config.get("rescale_betas_zero_snr"):
        raise UserError(f"{file}: rescale_betas_zero_snr = true: at t = 1 no signal is left; false is right")
    if config.get("trained_betas") is not None:
        betas = _numbers(config["trained_betas"], f"{file}: trained_betas")
        if len(betas) < 2:
            raise UserError(f"{file}: trained_betas: {len(betas)} of them: at least 2 are right")
        return betas
    count = config.get("num_train_timesteps", 1000)
    if not isinstance(count, int) or count < 2:
        raise UserError(f"{file}: num_train_timesteps = {count!r}: a whole number, at least 2")
    kind = config.get("beta_schedule", "linear" if "beta_start" in config else None)
    first, last = (
        _numbers([config.get(key, default)], f"{file}: {key}").item()
        for key, default in (("beta_start", 1e-4), ("beta_end", 0.02))
    )
    if kind == "linear":
        return torch.linspace(first, last, count, dtype=torch.float64)
    if kind == "scaled_linear":
        return torch.linspace(first**0.5, last**0.5, count, dtype=torch.float64).square()
    if kind == "squaredcos_cap_v2":
        return _cosine_betas(count)
    raise UserError(
        f"{file}: beta_schedule = {kind!r}: linear, scaled_linear, squaredcos_cap_v2, or trained_betas"
    )


def _numbers(raw: Any, where: str) -> Tensor:
    """float64; UserError where a number is not one between 0 and 1."""
    good = isinstance(raw, list) and all(
        isinstance(number, int | float) and not isinstance(number, bool) and 0 < number < 1 for number in raw
    )
    if not good:
        raise UserError(f"{where}: numbers between 0 and 1 are right")
    return torch.tensor(raw, dtype=torch.float64)


def _cosine_betas(count: int) -> Tensor:
    """min(1 - f(k / T) / f((k - 1) / T), 0.999), f(t) = cos^2(pi/2 (t + s) / (1 + s)), s = 0.008 (Nichol and
    Dhariwal 2021, Eq. 17).
    """
    t = torch.arange(count + 1, dtype=torch.float64) / count
    f = torch.cos(math.pi / 2 * (t + _COSINE_OFFSET) / (1 + _COSINE_OFFSET)).square()
    return (1 - f[1:] / f[:-1]).clamp(max=_COSINE_LIMIT)
