"""Purification by a diffusion model (DiffPure: Nie, Guo, Huang, Xiao, Vahdat and Anandkumar 2022)."""

from __future__ import annotations

from typing import Annotated, Any

import torch
from torch import Tensor

from mfbench import DataSpec, DiffusionModel, Ref, Unrollable, Unsupported, UserError
from mfbench_defenses.arguments import require_at_least, required
from mfbench_defenses.ascent import Squash
from mfbench_defenses.classifying import BeforeClassifier


class DiffusionPurification(BeforeClassifier, Unrollable):
    """The image noised to the time `start`, and denoised again in `steps` equal steps; random at test time.

    With x_hat = (x_t - sqrt(1 - abar_t) eps) / sqrt(abar_t), a step from t to s gives
    sqrt(abar_s) x_hat + sqrt(1 - abar_s - sigma^2) eps + sigma z, where sigma^2 = eta^2 (1 - abar_s) /
    (1 - abar_t) (1 - abar_t / abar_s): `eta` = 1 is ancestral sampling (second variance of Ho et al. 2020), 0
    is DDIM (Song et al. 2021). `generator` is any diffusion model, `classifier` any defense. Attackers may
    take the steps one by one; the network is all that they differentiate.
    """

    deterministic = False

    def __init__(
        self,
        generator: Ref = "ddpm_unet",
        classifier: Annotated[Ref, "defense"] = "cnn",
        start: float = 0.2,
        steps: int = 10,
        eta: float = 1.0,
    ) -> None:
        super().__init__(classifier)
        who = "diffusion_purification"
        if not 0 < start <= 1:
            raise UserError(f"{who}: start = {start:g}: above 0, at most 1")
        if not 0 <= eta <= 1:
            raise UserError(f"{who}: eta = {eta:g}: from 0 to 1")
        require_at_least(who, 1, steps=steps)
        self.generator: Any = generator
        self.start = start
        self.steps = steps
        self.eta = eta

    def build(self, spec: DataSpec) -> None:
        super().build(spec)
        if not isinstance(self.generator, DiffusionModel):
            raise Unsupported(
                f"diffusion_purification needs the noise predictor of a diffusion model; "
                f"{type(self.generator).__name__} has none"
            )

    @property
    def purification_steps(self) -> int:
        return self.steps

    @torch.no_grad()
    def purify(self, x: Tensor, *, rng: torch.Generator | None = None) -> Tensor:
        state = self.purification_start(x, rng=rng)
        for _ in range(self.steps):
            state = self.purification_step(state, rng=rng)
        return state[0]

    def purification_start(self, x: Tensor, *, rng: torch.Generator | None = None) -> tuple[Tensor, ...]:
        """The image, x_t in model space, and how many steps were taken."""
        model = self.generator.to_model(x)
        abar = self._alpha_bar(x.new_full((len(x),), self.start), x)
        noisy = abar.sqrt() * model + (1 - abar).sqrt() * _normal(model, required(rng))
        return x, noisy, torch.zeros(len(x), device=x.device, dtype=torch.int64)

    def purification_step(
        self,
        state: tuple[Tensor, ...],
        *,
        squash: Squash | None = None,
        stride: float = 1.0,
        rng: torch.Generator | None = None,
    ) -> tuple[Tensor, ...]:
        """`stride` rounds to whole steps at once; there is no sign to squash."""
        _, x, taken = state
        ahead = (taken + max(1, round(stride))).clamp(max=self.steps)
        t, s = (self.start * (1 - k.to(x.dtype) / self.steps) for k in (taken, ahead))
        eps = self.generator.predictor(x, t)
        abar_t, abar_s = self._alpha_bar(t, x), self._alpha_bar(s, x)
        clean = (x - (1 - abar_t).sqrt() * eps) / abar_t.sqrt()
        variance = self.eta**2 * (1 - abar_s) / (1 - abar_t) * (1 - abar_t / abar_s)
        x = abar_s.sqrt() * clean + (1 - abar_s - variance).clamp(min=0).sqrt() * eps
        x = x + variance.sqrt() * _normal(x, required(rng))
        return self.generator.to_data(clean).clamp(0, 1), x, ahead

    def _alpha_bar(self, t: Tensor, like: Tensor) -> Tensor:
        """abar(t), (n,) -> (n, 1, 1, 1)."""
        abar: Tensor = self.generator.predictor.schedule.alpha_bar(t)
        return abar.view(-1, *[1] * (like.ndim - 1))


def _normal(like: Tensor, rng: torch.Generator) -> Tensor:
    return torch.randn(like.shape, generator=rng, device=like.device, dtype=like.dtype)
