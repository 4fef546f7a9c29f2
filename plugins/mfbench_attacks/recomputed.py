"""Functions whose inner values are computed again when gradients are wanted: memory for time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Tensors = tuple[Tensor, ...]


def recomputed(function: Callable[[Tensors], Tensors], rng: torch.Generator, given: Tensors) -> Tensors:
    """function(given), of which only `given` is kept until the backward pass.

    As torch's checkpoint, which can neither be differentiated by `torch.autograd.grad` where the function
    takes gradients itself, nor draw the same noise again from a generator of one's own.
    """
    found: Tensors = _Recomputed.apply(function, rng, *given)
    return found


class _Recomputed(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, function: Callable[[Tensors], Tensors], rng: torch.Generator, *given: Tensor
    ) -> Any:
        ctx.function, ctx.rng, ctx.drawn = function, rng, rng.get_state()
        ctx.save_for_backward(*given)
        with torch.no_grad():
            found = _apart(function(given), given)
        ctx.mark_non_differentiable(*(value for value in found if not value.is_floating_point()))
        return found

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> Any:
        given = tuple(value.detach() for value in ctx.saved_tensors)
        for value in given:
            value.requires_grad_(value.is_floating_point())
        later = ctx.rng.get_state()
        ctx.rng.set_state(ctx.drawn)
        with torch.enable_grad():
            found = ctx.function(given)
        ctx.rng.set_state(later)
        pairs = [(f, g) for f, g in zip(found, gradients) if f.requires_grad and g is not None]
        inputs = [value for value in given if value.requires_grad]
        wanted: list[Tensor | None] = [None] * len(inputs)
        if pairs:
            outputs, weights = zip(*pairs)
            wanted = list(torch.autograd.grad(outputs, inputs, weights, allow_unused=True))
        back = iter(wanted)
        return None, None, *(next(back) if value.requires_grad else None for value in given)


def _apart(found: Tensors, given: Tensors) -> Tensors:
    """Copies of what shares memory with an argument or an earlier result: autograd tells results apart."""
    taken = {value.untyped_storage().data_ptr() for value in given}
    apart = []
    for value in found:
        place = value.untyped_storage().data_ptr()
        apart.append(value.clone() if place in taken else value)
        taken.add(place)
    return tuple(apart)
