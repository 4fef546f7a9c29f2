"""Projected ascent by signs of gradients, with the best iterate kept (Madry et al. 2018)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from mfbench_attacks.oracles import Oracle, usable
from mfbench_attacks.rows import Rows

_LEAST = 1e-30
_DROPPED = 0.2
"""Share of the rows from which on it pays to take them out of the batch."""


class Best(NamedTuple):
    """x (b, ...) the best images seen, and their scores (b,)."""

    x: Tensor
    score: Tensor

    def update(self, x: Tensor, score: Tensor) -> Best:
        """Row by row what scores higher; what was there first wins ties."""
        better = score > self.score
        if bool(better.all()):  # most often so, and images are long to choose between
            return Best(x, score)
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
    enough: float | None = None,
) -> Best:
    """x <- P(x + step_size sign(gradient)), `steps` times from `start`; start and end are candidates, too.

    With momentum mu, Nesterov's look-ahead as in NI-FGSM (Lin et al. 2020): the gradient is taken at
    P(x + step_size mu v), where v <- mu v + gradient / mean |gradient|, and x moves along sign(v). What
    is looked at is what is kept. `steps` gradients and one more forward evaluation. A row whose score is
    above `enough` goes no further; the oracle must then not care which rows it is given.
    """
    climb = _Climb(rows, rows.project(start), enough)
    for _ in range(steps):
        climb.step(oracle, step_size, momentum, rng)
        if not len(climb.rows):
            return climb.found
    climb.keep(oracle.score(climb.ahead, climb.rows))
    return climb.found


class _Climb:
    """The rows that still climb, where they are, and what all rows have found."""

    def __init__(self, rows: Rows, x: Tensor, enough: float | None) -> None:
        self.rows, self.x, self.ahead, self.enough = rows, x, x, enough
        self.velocity = torch.zeros_like(x)
        self.best = Best(x, torch.full_like(x[:, 0, 0, 0], -torch.inf))
        self.index = torch.arange(len(x), device=x.device)
        self._all = self.best

    @property
    def found(self) -> Best:
        """The best of every row, in the order in which they were given."""
        if len(self.index) == len(self._all.x):
            return self.best
        return Best(*(whole.index_copy(0, self.index, part) for whole, part in zip(self._all, self.best)))

    def step(self, oracle: Oracle, size: float, momentum: float, rng: torch.Generator) -> None:
        look = oracle.look(self.ahead, self.rows)
        self.keep(look.score)
        direction = usable(look.gradient, self.rows, rng)
        if momentum:
            scale = direction.abs().flatten(1).mean(dim=1).clamp(min=_LEAST)
            direction = self.velocity = momentum * self.velocity + direction / scale[:, None, None, None]
        self.x = self.rows.project(torch.add(self.x, direction.sign(), alpha=size))
        self.ahead = self.rows.project(self.x + size * momentum * self.velocity) if momentum else self.x
        if self.enough is not None:
            self._drop(self.best.score > self.enough)

    def keep(self, score: Tensor) -> None:
        """What is ahead is a candidate, but for rows that have enough: they do not wait for their batch."""
        if self.enough is not None:
            score = torch.where(self.best.score > self.enough, -torch.inf, score)
        self.best = self.best.update(self.ahead, score)

    def _drop(self, done: Tensor) -> None:
        """Rows that are done leave the batch, once they are a fifth of it."""
        if int(done.sum()) < _DROPPED * len(done):
            return
        self._all, left = self.found, ~done
        self.rows, self.index = self.rows.take(left), self.index[left]
        self.x, self.ahead, self.velocity = self.x[left], self.ahead[left], self.velocity[left]
        self.best = Best(self.best.x[left], self.best.score[left])
