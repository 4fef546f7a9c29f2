"""What defenses ask of their parameters, their data and the methods that they refer to."""

from __future__ import annotations

from typing import Any

import torch

from mfbench import DataSpec, Defense, Unsupported, UserError


def require_at_least(who: str, least: float, **arguments: float) -> None:
    """UserError for the first argument below `least`, or that is no number."""
    for name, value in arguments.items():
        if not value >= least:
            raise UserError(f"{who}: {name} = {value:g}: at least {least:g}")


def require_above(who: str, bound: float, **arguments: float) -> None:
    """UserError for the first argument that is not above `bound`."""
    for name, value in arguments.items():
        if not value > bound:
            raise UserError(f"{who}: {name} = {value:g}: above {bound:g}")


def classes_of_images(spec: DataSpec, who: str) -> int:
    """How many classes; Unsupported where the data are no images (channels, height, width), or have none."""
    if len(spec.shape) != 3:
        raise Unsupported(f"{who} is for images (channels, height, width), not for shape {spec.shape}")
    if not spec.classes:
        raise Unsupported(f"{who} learns classes, and the data set has none")
    return spec.classes


def require_classifier(classifier: Any, who: str) -> Defense:
    """`classifier`, or a UserError where it is no defense."""
    if not isinstance(classifier, Defense):
        raise UserError(f"{who}: classifier = {classifier!r}; a method of kind defense is needed")
    return classifier


def required(rng: torch.Generator | None) -> torch.Generator:
    """`rng`, or a UserError where a defense that draws was given none."""
    if rng is None:
        raise UserError("rng = None: this defense draws random numbers; give it a torch.Generator")
    return rng
