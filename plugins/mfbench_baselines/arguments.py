"""Hyper-parameters that cannot be, told in one line."""

from __future__ import annotations

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
