"""How classifiers are trained: shuffled batches, cross-entropy, Adam with a cosine."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, pad

from mfbench import Progress

_PROGRESS_EVERY = 20


def shuffled_batches(
    x: Tensor, y: Tensor, batch_size: int, iterations: int, rng: torch.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """`iterations` batches of rows of x and y: every row once before any comes again."""
    order = torch.empty(0, dtype=torch.int64, device=rng.device)
    for _ in range(iterations):
        while len(order) < batch_size:
            order = torch.cat([order, torch.randperm(len(x), generator=rng, device=rng.device)])
        rows, order = order[:batch_size].to(x.device), order[batch_size:]
        yield x[rows], y[rows]


def moved(x: Tensor, most: int, rng: torch.Generator) -> Tensor:
    """Each image (n, channels, h, w) moved by a whole number of pixels up to `most` along both sides, drawn
    independently and uniformly; what comes in at the edge repeats the edge.
    """
    if not most:
        return x
    n, _, height, width = x.shape
    by = torch.randint(2 * most + 1, (2, n, 1), generator=rng, device=rng.device).to(x.device)
    rows = by[0] + torch.arange(height, device=x.device)
    columns = by[1] + torch.arange(width, device=x.device)
    wide = pad(x, (most, most, most, most), mode="replicate").movedim(1, -1)
    which = torch.arange(n, device=x.device)[:, None, None]
    return wide[which, rows[:, :, None], columns[:, None, :]].movedim(-1, 1)


def mirrored(x: Tensor, rng: torch.Generator) -> Tensor:
    """Left and right exchanged in each image with probability one half."""
    chosen = torch.rand(len(x), generator=rng, device=rng.device).to(x.device) < 0.5
    return torch.where(chosen[:, None, None, None], x.flip(-1), x)


def train(
    network: nn.Module,
    batches: Iterator[tuple[Tensor, Tensor]],
    *,
    iterations: int,
    learning_rate: float,
    progress: Progress,
) -> None:
    """Lower the cross-entropy by Adam over all batches.

    The rate falls from `learning_rate` to 0 as a cosine. The network is left in train mode.
    """
    network.train()
    optimizer = torch.optim.Adam(network.parameters(), lr=learning_rate, fused=True)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(1, iterations))
    for done, (x, y) in enumerate(batches, 1):
        loss = cross_entropy(network(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        decay.step()
        if done % _PROGRESS_EVERY == 0 or done == iterations:
            progress(done, iterations)
