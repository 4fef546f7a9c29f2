"""Purification as ascent of an objective (Tu et al. 2023, Eq. 30).

    eps_pfy = argmin_{eps in C} -ELBO(x_adv + eps),  C = {x_adv + eps in [0, 1]^n, |eps|_inf <= eps_th}

From x_adv, and from random points near it, by steps along the sign of the gradient (or the gradient itself),
put back into C after each. All restarts climb in one batch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

import torch
from torch import Tensor

from mfbench_defenses.arguments import require_above, require_at_least, required

Update: TypeAlias = Literal["sign", "gradient"]
Squash: TypeAlias = Callable[[Tensor], Tensor]
Objective: TypeAlias = Callable[[Tensor, Tensor | None], Tensor]


class Climb(NamedTuple):
    """Where `n` images are, each at r restarts; what `mfbench.Unrollable` hands to attackers.

    image: (n, c, h, w), the answer so far. points, gradients: (n, r, c, h, w), where the restarts are and
    the objective's gradient there. bests: (n, r, c, h, w), the point of each restart that counts, and values,
    (n, r), its objective. origin: (n, c, h, w), as it came. inside: (n, 1, 1, h, w), 1 where pixels may move.
    """

    image: Tensor
    points: Tensor
    gradients: Tensor
    bests: Tensor
    values: Tensor
    origin: Tensor
    inside: Tensor


@dataclass(frozen=True)
class Ascent:
    """How to climb.

    objective: of points (m, c, h, w), and noise or None, one value each, differentiable.
    radius: eps_th; None: any value in [0, 1].
    restarts: the first begins at x, the others uniformly within `spread` (and `radius`) of it.
    noise: draws the objective's noise anew for every step; None: it has none. Without noise each restart's
        best point counts; with it values do not compare, and its last point does. The restart with the
        highest value is the answer.
    threshold: points that reach it stay where they are; None: none does.
    """

    objective: Objective
    steps: int
    step_size: float
    radius: float | None = None
    update: Update = "sign"
    restarts: int = 1
    spread: float = 8 / 255
    noise: Callable[[Tensor, torch.Generator], Tensor] | None = None
    threshold: float | None = None

    def begin(self, x: Tensor, *, inside: Tensor | None = None, rng: torch.Generator | None = None) -> Climb:
        """Before the first step. `inside`: (n, h, w) bool, the pixels that may move; None: all of them."""
        free = torch.ones_like(x[:, :1, :, :]) if inside is None else inside[:, None].to(x.dtype)
        free = free[:, None]
        points = x[:, None].expand(-1, self.restarts, -1, -1, -1)
        if self.restarts > 1:
            reach = self.spread if self.radius is None else min(self.spread, self.radius)
            draws = torch.rand(points.shape, generator=required(rng), device=x.device, dtype=x.dtype)
            away = reach * (2 * draws - 1) * free
            first = torch.arange(self.restarts, device=x.device).view(1, -1, 1, 1, 1) == 0
            points = torch.where(first, points, (points + away).clamp(0, 1))
        values, gradients = self._evaluate(points, rng)
        return Climb(_best_of(points, values), points, gradients, points, values, x, free)

    def step(
        self,
        climb: Climb,
        *,
        squash: Squash | None = None,
        stride: float = 1.0,
        rng: torch.Generator | None = None,
    ) -> Climb:
        """After one more step, as `mfbench.Unrollable.purification_step` says."""
        direction = self._direction(climb.gradients, squash) * climb.inside
        if self.threshold is not None and squash is None:
            short = climb.values < self.threshold
            direction = direction * short[:, :, None, None, None]
        points = self._held(climb.points + stride * self.step_size * direction, climb.origin)
        values, gradients = self._evaluate(points, rng)
        bests = points
        if self.noise is None:
            better = values > climb.values
            bests = torch.where(better[:, :, None, None, None], points, climb.bests)
            values = torch.where(better, values, climb.values)
        image = _best_of(bests, values)
        return Climb(image, points, gradients, bests, values, climb.origin, climb.inside)

    @torch.no_grad()
    def climb(self, x: Tensor, *, inside: Tensor | None = None, rng: torch.Generator | None = None) -> Tensor:
        """x after all steps; images that have all reached the threshold end it early."""
        state = self.begin(x, inside=inside, rng=rng)
        for _ in range(self.steps):
            if self.threshold is not None and bool((state.values >= self.threshold).all()):
                break
            state = self.step(state, rng=rng)
        return state.image

    def _direction(self, gradients: Tensor, squash: Squash | None) -> Tensor:
        if self.update == "gradient":
            return gradients
        return gradients.sign() if squash is None else squash(gradients.flatten(0, 1)).view_as(gradients)

    def _held(self, points: Tensor, origin: Tensor) -> Tensor:
        """Put back into C."""
        if self.radius is not None:
            origin = origin[:, None]
            points = torch.minimum(torch.maximum(points, origin - self.radius), origin + self.radius)
        return points.clamp(0, 1)

    def _evaluate(self, points: Tensor, rng: torch.Generator | None) -> tuple[Tensor, Tensor]:
        """Objective (n, r) and its gradient at the points; part of the graph where gradients are enabled."""
        graph = torch.is_grad_enabled()
        with torch.enable_grad():
            at = points.flatten(0, 1)
            at = at if graph and at.requires_grad else at.detach().requires_grad_()
            noise = None if self.noise is None else self.noise(at, required(rng))
            values = self.objective(at, noise)
            (gradients,) = torch.autograd.grad(values.sum(), at, create_graph=graph)
        if not graph:
            values = values.detach()
        return values.view(points.shape[:2]), gradients.view_as(points)


def _best_of(points: Tensor, values: Tensor) -> Tensor:
    """(n, ...) of points (n, r, ...): the restart of the highest value (n, r)."""
    if points.shape[1] == 1:
        return points[:, 0]
    return points[torch.arange(len(points), device=points.device), values.argmax(1)]


def check_ascent(who: str, *, steps: int, step_size: float, restarts: int, radius: float | None) -> None:
    """UserError for numbers that no ascent can have."""
    require_at_least(who, 1, restarts=restarts)
    require_at_least(who, 0, steps=steps)
    require_above(who, 0, step_size=step_size)
    if radius is not None:
        require_above(who, 0, radius=radius)
