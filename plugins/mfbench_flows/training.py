"""How flows and autoencoders are trained: batches of dequantised images, and Adam."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor, nn

from mfbench import Progress, UserError
from mfbench_flows.pixels import dequantised

_LARGEST_GRADIENT = 1.0
"""Norm to which gradients are cut: of losses in nats a number, whose norm is near 1 or below."""
_PROGRESS_EVERY = 20


def pixel_batches(
    x: Tensor, batch_size: int, iterations: int, levels: int | None, rng: torch.Generator
) -> Iterator[Tensor]:
    """Rows of x drawn with replacement, `iterations` times; dequantised unless `levels` is None."""
    for _ in range(iterations):
        rows = torch.randint(len(x), (batch_size,), generator=rng, device=x.device)
        yield x[rows] if levels is None else dequantised(x[rows], levels, rng)


def train(
    networks: nn.Module,
    loss: Callable[[Tensor], Tensor],
    batches: Iterable[Tensor],
    *,
    iterations: int,
    learning_rate: float,
    progress: Progress,
    who: str,
) -> None:
    """Adam on loss(batch) with gradients cut to norm 1, the rate falling as a cosine to 0.

    UserError, naming `who`, where the loss is no longer finite.
    """
    parameters = [parameter for parameter in networks.parameters() if parameter.requires_grad]
    optimiser = torch.optim.Adam(parameters, lr=learning_rate, fused=True)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(1, iterations))
    for done, batch in enumerate(batches, 1):
        value = loss(batch)
        optimiser.zero_grad()
        value.backward()
        torch.nn.utils.clip_grad_norm_(parameters, _LARGEST_GRADIENT)
        optimiser.step()
        decay.step()
        if done % _PROGRESS_EVERY == 0 or done == iterations:
            if not torch.isfinite(value):
                raise UserError(
                    f"{who}: learning_rate = {learning_rate}: after {done} iterations the loss is "
                    f"{value.item()}; a smaller one is right"
                )
            progress(done, iterations)
