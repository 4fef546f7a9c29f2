"""What an attack costs: evaluations of a defense, counted while it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor

from mfbench import Defense

_CLASSIFIERS = ("logits", "surrogate_logits")
_CALLS = (*_CLASSIFIERS, "purify", "defended_logits")


@dataclass
class Count:
    """Images that went forward and backward through the classifier (or what stands for it), through the
    purifier, and through the whole defense."""

    forward: int = 0
    backward: int = 0
    purified: int = 0
    defended: int = 0

    def over(self, images: int) -> dict[str, float]:
        """Each an image, without what never happened."""
        found = {name: value / max(1, images) for name, value in vars(self).items()}
        return {name: value for name, value in found.items() if value}


@contextmanager
def counted(defense: Defense) -> Iterator[Count]:
    """Counts what is asked of the defense, also by itself, until the end of the block."""
    count = Count()
    names = [name for name in _CALLS if hasattr(defense, name)]
    before = {name: vars(defense)[name] for name in names if name in vars(defense)}
    for name in names:
        setattr(defense, name, _counting(getattr(defense, name), name, count))
    try:
        yield count
    finally:
        for name in names:
            delattr(defense, name)
        for name, call in before.items():
            setattr(defense, name, call)


def _counting(call: Callable[..., Tensor], name: str, count: Count) -> Callable[..., Tensor]:
    field = {"purify": "purified", "defended_logits": "defended"}.get(name, "forward")

    def counting(x: Tensor, *args: Any, **keywords: Any) -> Tensor:
        setattr(count, field, getattr(count, field) + len(x))
        found = call(x, *args, **keywords)
        if field == "forward" and isinstance(found, Tensor) and found.requires_grad:
            hook: Callable[[Tensor], None] = partial(_add_backward, count)
            found.register_hook(hook)  # type: ignore[no-untyped-call]
        return found

    return counting


def _add_backward(count: Count, gradient: Tensor) -> None:
    count.backward += len(gradient)
