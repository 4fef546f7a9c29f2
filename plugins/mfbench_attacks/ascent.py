"""Projected ascent by signs of gradients, with the best iterate kept (Madry et al. 2018)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from mfbench_attacks.oracles import Oracle, usable
from mfbench_attacks.rows import Rows

_LEAST = 1e-30


class Best(NamedTuple):
    """x (b, ...) the best images seen, and their scores (b,)."""

    x: Tensor
    score: Tensor

    def update(self, x: Tensor, score: Tensor) -> Best:
        """Row by row what scores higher; what was there first wins ties."""
        better = score > self.score
        return Best(
            torch.where(better[:, None, None, None], x, self.x), torch.where(better, score, self.score)
        )


def ascend(
    oracle: Oracle,
    rows: Rows,
    start: Tensor,
    *,
    steps: int,
    step_size: float,
    rng: torch.Generator,
    momentum: float = 0.0,
) -> Best:
    """x <- P(x + step_size sign(gradient)), `steps` times from `start`; start and end are candidates, too.

    With momentum mu, Nesterov's look-ahead as in NI-FGSM (Lin et al. 2020): the gradient is taken at
    P(x + step_size mu v), where v <- mu v + gradient / mean |gradient|, and x moves along sign(v). What
    is looked at is what is kept. `steps` gradients and one more forward evaluation.
    """
    x = ahead = rows.project(start)
    velocity = torch.zeros_like(x)
    best = Best(x, torch.full_like(x[:, 0, 0, 0], -torch.inf))
    for _ in range(steps):
        look = oracle.look(ahead, rows)
        best = best.update(ahead, look.score)
        direction = usable(look.gradient, rows, rng)
        if momentum:
            size = direction.abs().flatten(1).mean(dim=1).clamp(min=_LEAST)
            direction = velocity = momentum * velocity + direction / size[:, None, None, None]
        x = rows.project(torch.add(x, direction.sign(), alpha=step_size))
        ahead = rows.project(x + step_size * momentum * velocity) if momentum else x
    return best.update(ahead, oracle.score(ahead, rows))
