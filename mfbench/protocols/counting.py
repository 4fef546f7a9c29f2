"""Network evaluations (NFE), counted where they happen: rows sent through the noise predictor."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from mfbench.contracts import Method, NoisePredictor


class CountingPredictor(nn.Module):
    """A noise predictor that counts the rows it is sent, and otherwise is the one it wraps.

    rows: evaluated so far; vjp_rows: rows of vector-Jacobian products taken through autograd.
    It is a module so that it may stand where a module stood; attributes are forwarded to the wrapped one.
    """

    def __init__(self, predictor: NoisePredictor) -> None:
        super().__init__()
        self.counted = predictor
        self.rows = 0
        self.vjp_rows = 0

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        self.rows += len(x)
        eps: Tensor = self.counted(x, t)
        if torch.is_grad_enabled() and eps.requires_grad:
            eps.register_hook(self._count_product)  # type: ignore[no-untyped-call]
        return eps

    def _count_product(self, gradient: Tensor) -> None:
        self.vjp_rows += len(gradient)

    def report(self, rows: int, vjp_rows: int = 0) -> None:
        """For compiled code that evaluates the network past this wrapper: add its own count."""
        self.rows += rows
        self.vjp_rows += vjp_rows

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(self._wrapped(), name)

    def _wrapped(self) -> Any:
        return self.__dict__["counted"] if "counted" in self.__dict__ else self._modules["counted"]


@contextmanager
def count_evaluations(method: Method) -> Iterator[CountingPredictor | None]:
    """Count what `method` sends through its noise predictor, its own or that of a method it refers to.

    Gives None where there is no predictor. The predictor is put back afterwards.
    """
    owner = _owner(method)
    if owner is None:
        yield None
        return
    predictor = owner.predictor
    counter = CountingPredictor(predictor)
    owner.predictor = counter
    try:
        yield counter
    finally:
        owner.predictor = predictor


def cost(counter: CountingPredictor | None, samples: int) -> tuple[float | None, list[str]]:
    """Evaluations a sample asked for (None: no network), and a note on vector-Jacobian products."""
    if counter is None:
        return None, []
    products = counter.vjp_rows / samples
    return counter.rows / samples, [f"{products:g} vector-Jacobian products a sample"] if products else []


def _owner(method: Method) -> Any:
    """The method that owns the predictor: references first, so that what they share is counted once."""
    references = [value for value in vars(method).values() if isinstance(value, Method)]
    for owner in map(_owner, references):
        if owner is not None:
            return owner
    return method if hasattr(method, "predictor") else None
