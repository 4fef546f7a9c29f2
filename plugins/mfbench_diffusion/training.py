"""How networks are trained: noisy batches at continuous times, and Adam on the squared error of v."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar, cast

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from mfbench import NoiseSchedule, Progress
from mfbench_diffusion.network import noise_level

Network = TypeVar("Network", bound=nn.Module)

_BLOCK = 2**18
"""Numbers drawn at once: many small batches a block, so that drawing costs little beside the network."""
_AVERAGE_EVERY = 10
_PROGRESS_EVERY = 100


def noisy_batches(
    x: Tensor, schedule: NoiseSchedule, batch_size: int, iterations: int, rng: torch.Generator
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """(x_t, u, v), `iterations` times, for rows x_0 drawn from x with replacement.

    The times of a batch are t = u^2 with u stratified over [0, 1): evenly covered, which lowers the variance
    of the gradient (Kingma et al. 2021), and denser towards 0, where the terms of the bound weigh most.
    """
    block = max(1, _BLOCK // (batch_size * x[0].numel()))
    for done in range(0, iterations, block):
        count = min(block, iterations - done)
        x0 = x[torch.randint(len(x), (count, batch_size), generator=rng, device=x.device)]
        offset = torch.rand((count, 1), generator=rng, dtype=x.dtype, device=x.device)
        strata = torch.arange(batch_size, dtype=x.dtype, device=x.device) / batch_size
        t = ((offset + strata) % 1) ** 2
        eps = torch.randn(x0.shape, generator=rng, dtype=x.dtype, device=x.device)
        alpha_bar = schedule.alpha_bar(t)
        u = noise_level(alpha_bar)
        alpha_bar = alpha_bar.view(*t.shape, *[1] * (x.ndim - 1))
        signal, noise = alpha_bar.sqrt(), (1 - alpha_bar).sqrt()
        yield from zip(signal * x0 + noise * eps, u, signal * eps - noise * x0)


def train(
    network: Network,
    batches: Iterator[tuple[Tensor, Tensor, Tensor]],
    *,
    iterations: int,
    learning_rate: float,
    ema: float,
    progress: Progress,
) -> Network:
    """The exponential moving average of the network over `iterations` steps of Adam, the rate falling as a
    cosine from `learning_rate` to 0.
    """
    optimizer = torch.optim.Adam(network.parameters(), lr=learning_rate, fused=True)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(1, iterations))
    average = AveragedModel(network, avg_fn=_Average(ema**_AVERAGE_EVERY))
    for done, (x_t, u, v) in enumerate(batches, 1):
        loss = (network(x_t, u) - v).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        decay.step()
        if done % _AVERAGE_EVERY == 0 or done == iterations:
            average.update_parameters(network)
        if done % _PROGRESS_EVERY == 0 or done == iterations:
            progress(done, iterations)
    return cast(Network, average.module)


class _Average:
    """Nearly the running mean at first, so that short trainings forget their start; then exponential."""

    def __init__(self, decay: float) -> None:
        self.decay = decay

    def __call__(self, average: Tensor, new: Tensor, count: Tensor | int) -> Tensor:
        share = 1 - min(self.decay, (1 + int(count)) / (10 + int(count)))
        return torch.lerp(average, new, share)
