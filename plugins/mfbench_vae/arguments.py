"""Checks of hyper-parameters, in one form of words."""

from __future__ import annotations

from mfbench import UserError


def at_least(method: str, least: float, **values: float) -> None:
    """UserError for the first of the named values below `least`."""
    for name, value in values.items():
        if not value >= least:
            raise UserError(f"{method}: {name} = {value:g}: at least {least:g}")


def above_zero(method: str, **values: float) -> None:
    """UserError for the first of the named values that is not above 0."""
    for name, value in values.items():
        if not value > 0:
            raise UserError(f"{method}: {name} = {value:g}: above 0")


def within(method: str, low: float, high: float, **values: float) -> None:
    """UserError for the first of the named values outside of [low, high]."""
    for name, value in values.items():
        if not low <= value <= high:
            raise UserError(f"{method}: {name} = {value:g}: from {low:g} to {high:g}")
