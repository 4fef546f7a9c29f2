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


class Training:
    """Steps of Adam with gradients cut to norm 1, the rate falling as a cosine to 0 in `iterations` steps."""

    def __init__(self, networks: nn.Module, iterations: int, learning_rate: float) -> None:
        self._parameters = [parameter for parameter in networks.parameters() if parameter.requires_grad]
        self._optimiser = torch.optim.Adam(self._parameters, lr=learning_rate, fused=True)
        self._decay = torch.optim.lr_scheduler.CosineAnnealingLR(self._optimiser, max(1, iterations))

    def step(self, loss: Tensor) -> None:
        """One step against the gradient of a scalar."""
        self._optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._parameters, _LARGEST_GRADIENT)
        self._optimiser.step()
        self._decay.step()


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
    """A step of `Training` on loss(batch) for each batch.

    UserError, naming `who`, where the loss is no longer finite.
    """
    training = Training(networks, iterations, learning_rate)
    for done, batch in enumerate(batches, 1):
        value = loss(batch)
        training.step(value)
        if done % _PROGRESS_EVERY == 0 or done == iterations:
            if not torch.isfinite(value):
                raise UserError(
                    f"{who}: learning_rate = {learning_rate}: after {done} iterations the loss is "
                    f"{value.item()}; a smaller one is right"
                )
            progress(done, iterations)
