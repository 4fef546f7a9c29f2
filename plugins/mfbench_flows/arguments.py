"""Hyper-parameters that cannot be, told in one line."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from mfbench import UserError


def require_at_least(who: str, least: float, **values: float) -> None:
    """UserError, naming the method, the parameter and its value, where one is below `least`."""
    for name, value in values.items():
        if not value >= least:
            raise UserError(f"{who}: {name} = {value}: at least {least:g}")


def require_positive(who: str, **values: float) -> None:
    """UserError, naming the method, the parameter and its value, where one is not above 0."""
    for name, value in values.items():
        if not value > 0:
            raise UserError(f"{who}: {name} = {value}: above 0")


def require_finite(who: str, x: Tensor) -> None:
    """UserError where training images hold NaN or infinities: no learning rate would mend the loss."""
    bad = int((~x.isfinite()).flatten(1).any(dim=1).sum())
    if bad:
        raise UserError(f"{who}: {bad} of {len(x)} training images hold NaN or infinite values")


def require_shape(who: str, x: Tensor, shape: Sequence[int], level: int = 1) -> None:
    """UserError where images x (n, ...) are not of the shape of this level."""
    if tuple(x.shape[1:]) != tuple(shape):
        raise UserError(f"{who}: images of level {level} have shape {tuple(shape)}, not {tuple(x.shape[1:])}")
