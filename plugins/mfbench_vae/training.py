"""How autoencoders are trained: batches of rows of tensors in memory, Adam, a rate that rises, then falls."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mfbench import Progress
from mfbench_vae.randomness import permutation

_PROGRESS_EVERY = 20
RISING = 100
"""Steps, at most, in which the learning rate rises: see `rate`."""


@dataclass(frozen=True)
class Batch:
    """What an objective sees: images x (b, c, h, w), and where labels are used attributes (b, k).

    attributes: float, NaN where an image's label is not given. count: of training images. done: the share of
    the training that lies behind, in [0, 1). distorted: what the encoder sees in place of x, where it does.
    """

    x: Tensor
    attributes: Tensor | None
    count: int
    done: float
    rng: torch.Generator
    distorted: Tensor | None = None

    @property
    def seen(self) -> Tensor:
        """What the encoder sees; x is what the decoder should draw."""
        return self.x if self.distorted is None else self.distorted


def shuffled_rows(rows: Tensor, size: int, rng: torch.Generator) -> Iterator[Tensor]:
    """Batches (size,) of these row numbers, one at least, without end: each once before any comes again."""
    order = rows[:0]
    while True:
        while len(order) < size:
            order = torch.cat([order, rows[permutation(len(rows), rng).to(rows.device)]])
        batch, order = order[:size], order[size:]
        yield batch


def train(
    networks: nn.Module,
    critics: nn.Module,
    batches: Iterable[Batch],
    loss: Callable[[Batch], Tensor],
    critic_loss: Callable[[Batch], Tensor] | None,
    *,
    iterations: int,
    optimiser: torch.optim.Optimizer,
    critic_rate: float,
    progress: Progress,
) -> None:
    """Lower `loss` by `optimiser` (of `networks`), and in turn `critic_loss`, if any, by Adam of `critics`.

    The rates follow `rate`.
    """
    optimisers = [optimiser]
    steps = [loss]
    if critic_loss is not None:
        optimisers.append(torch.optim.Adam(critics.parameters(), lr=critic_rate, betas=(0.5, 0.9)))
        steps.append(critic_loss)
    schedules = [
        torch.optim.lr_scheduler.LambdaLR(each, lambda done: rate(done, iterations)) for each in optimisers
    ]
    networks.train()
    critics.train()
    for done, batch in enumerate(batches, 1):
        for each, step in zip(optimisers, steps):
            value = step(batch)
            each.zero_grad()
            value.backward()  # type: ignore[no-untyped-call]
            each.step()
        for schedule in schedules:
            schedule.step()
        if done % _PROGRESS_EVERY == 0 or done == iterations:
            progress(done, iterations)


def rate(done: int, iterations: int) -> float:
    """The share of the learning rate after so many steps: a line up, over RISING steps, times a cosine to 0.

    Adam's first steps move every weight by the whole rate and in the same direction: without the rise the
    first twenty may throw all codes of a training to where no gradient comes back from.
    """
    rising = min(RISING, iterations // 4)
    return min(1.0, (done + 1) / (rising + 1)) * (1 + math.cos(math.pi * done / max(1, iterations))) / 2
