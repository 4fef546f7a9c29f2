"""What attacks refuse: parameters that cannot be, and images, labels or threats that are none."""

from __future__ import annotations

import torch
from torch import Tensor

from mfbench import Threat, UserError

BUDGETS = ("steps", "restarts", "queries")
"""What a threat may cap."""


def require_at_least(who: str, bound: float, **values: float) -> None:
    """UserError that names the first value below `bound`."""
    for name, value in values.items():
        if not value >= bound:
            raise UserError(f"{who}: {name} = {value:g}: at least {bound:g}")


def require_above(who: str, bound: float, **values: float) -> None:
    """UserError that names the first value that is not above `bound`."""
    for name, value in values.items():
        if not value > bound:
            raise UserError(f"{who}: {name} = {value:g}: above {bound:g}")


def require_images(x: Tensor, y: Tensor) -> None:
    """UserError unless x is (n, channels, height, width) in [0, 1] and y (n,) int64, not negative."""
    if x.ndim != 4 or not x.is_floating_point():
        raise UserError(
            f"images of shape {tuple(x.shape)} ({x.dtype}): (n, channels, height, width), floating-point"
        )
    if len(x) and not bool(((x >= 0) & (x <= 1)).all()):
        low, high = float(x.min()), float(x.max())
        raise UserError(f"images in [{low:.3g}, {high:.3g}]: within [0, 1], without NaN")
    if y.shape != (len(x),) or y.dtype != torch.int64:
        raise UserError(f"labels of shape {tuple(y.shape)} ({y.dtype}): ({len(x)},), int64")


def require_labels(y: Tensor, classes: int) -> None:
    """UserError where a label is none of 0 .. classes - 1."""
    outside = y[(y < 0) | (y >= classes)]
    if len(outside):
        raise UserError(
            f"labels: {len(outside)} of {len(y)} out of range, {int(outside[0])} for instance; the defense "
            f"knows 0 .. {classes - 1}"
        )


def require_threat(threat: Threat, x: Tensor) -> None:
    """UserError where masks, radius or budget are not what `Threat` says."""
    if threat.masks is not None:
        _require_masks(threat.masks, x)
    if threat.radius is not None and not threat.radius > 0:
        raise UserError(f"threat: radius = {threat.radius:g}: above 0, or None for any value")
    for name, value in (threat.budget or {}).items():
        if name not in BUDGETS:
            raise UserError(f"threat: budget of {name!r}: one of {', '.join(BUDGETS)}")
        if value < 1:
            raise UserError(f"threat: a budget of {value} {name}: at least 1")


def _require_masks(masks: Tensor, x: Tensor) -> None:
    if masks.dtype != torch.bool or masks.ndim != 3 or masks.shape[1:] != x.shape[2:] or not len(masks):
        raise UserError(
            f"threat: masks of shape {tuple(masks.shape)} ({masks.dtype}) for images of shape "
            f"{tuple(x.shape[1:])}: boolean, (m, {x.shape[2]}, {x.shape[3]}), m at least 1"
        )
    empty = int((~masks.flatten(1).any(dim=1)).sum())
    if empty:
        raise UserError(f"threat: {empty} of {len(masks)} masks are empty: each needs a pixel to change")


def limited(value: int, threat: Threat, name: str) -> int:
    """A parameter, or what the threat's budget allows where that is less."""
    return min(value, (threat.budget or {}).get(name, value))
