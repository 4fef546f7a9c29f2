"""Where patches may lie, and whether an attacked image keeps to what was allowed.

It stands on the ground floor because both sides need the same: protocols, which set the threat and check what
attacks give back, and plugins, whose defenses train on patches and search for them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

import torch
from torch import Tensor

from mfbench.errors import UserError
from mfbench.spelling import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mfbench.contracts import Threat

MaskFamily: TypeAlias = Literal["forehead", "centre", "top", "random", "worst_of_n"]

_PLACES = {"forehead": (1 / 5, 1 / 2), "centre": (1 / 2, 1 / 2), "top": (0.0, 1 / 2)}
"""Where the patch lies between the first and the last place it can have, downwards and to the right."""
_TOLERANCE = 1e-6
"""Of the radius: what adding and taking away again costs in float32."""


def patch_masks(
    family: MaskFamily,
    shape: Sequence[int],
    *,
    area: float = 0.125,
    aspect: float = 2.0,
    positions: int = 9,
    rng: torch.Generator | None = None,
) -> Tensor:
    """Boolean (m, height, width): a rectangle each, for images (channels, height, width).

    family: "forehead" (of an upright face that fills the image), "centre", "top" (its middle), "random" (one
        uniform place, drawn from `rng`): m = 1; "worst_of_n": `positions` places on a grid from edge to edge,
        of which an attacker takes the worst for each image.
    area: share of the image, in (0, 1]; rounded to whole pixels. aspect: width over height, in shares of the
        image's sides; both sides grow with the area, so that of one family (and seed) the larger patch holds
        the smaller one. 0.125 and 2 are the 16 x 32 of 64 x 64 pixels of Tu et al. 2023.
    UserError: an unknown family, what does not fit the image, a number of positions that makes no grid.
    """
    height, width = shape[-2:]
    rows, columns = _sides(area, aspect, height, width)
    masks = [
        _rectangle(height, width, _place(down, height - rows), _place(right, width - columns), rows, columns)
        for down, right in _places(family, positions, rng)
    ]
    return torch.stack(masks)


def breaches(x: Tensor, changed: Tensor, threat: Threat) -> Tensor:
    """(n,) bool: images of `changed` that leave [0, 1], differ from x outside of every one mask, or by more
    than the radius (1e-6 is let pass for rounding); NaN is a breach.
    """
    inside = (changed >= 0) & (changed <= 1)
    if threat.radius is not None:
        inside &= (changed - x).abs() <= threat.radius + _TOLERANCE
    broken = ~inside.flatten(1).all(dim=1)
    if threat.masks is None:
        return broken
    touched = (changed != x).any(dim=1)[:, None]
    outside = (touched & ~threat.masks.to(x.device)).flatten(2).any(dim=2)
    return broken | outside.all(dim=1)


def _sides(area: float, aspect: float, height: int, width: int) -> tuple[int, int]:
    """Rows and columns of the rectangle; what `aspect` would push over an edge goes into the other side."""
    if not 0 < area <= 1:
        raise UserError(f"masks: area = {area:g}: a share of the image, above 0 and at most 1")
    if not aspect > 0:
        raise UserError(f"masks: aspect = {aspect:g}: width over height, above 0")
    wide = min(1.0, max(math.sqrt(area * aspect), area))
    rows, columns = round(height * min(1.0, area / wide)), round(width * wide)
    if not (rows and columns):
        raise UserError(
            f"masks: area = {area:g} of {height} x {width} pixels is less than a pixel high or wide"
        )
    return rows, columns


def _places(family: str, positions: int, rng: torch.Generator | None) -> list[tuple[float, float]]:
    if family in _PLACES:
        return [_PLACES[family]]
    if family == "worst_of_n":
        down, right = _grid(positions)
        return [(_even(i, down), _even(j, right)) for i in range(down) for j in range(right)]
    if family != "random":
        known = get_args(MaskFamily)
        raise UserError(f"no masks are called {family!r}{did_you_mean(family, known)}")
    if rng is None:
        raise UserError("masks: a random place is drawn from a generator; give rng")
    down, right = torch.rand(2, generator=rng, device=rng.device, dtype=torch.float64).tolist()
    return [(down, right)]


def _grid(positions: int) -> tuple[int, int]:
    """Rows and columns whose product is `positions`, at most twice as many of the one as of the other."""
    for rows in range(math.isqrt(max(positions, 0)), 0, -1):
        if positions % rows == 0 and positions <= 2 * rows * rows:
            return rows, positions // rows
    raise UserError(f"masks: {positions} positions make no grid; 4, 6, 8, 9, 12, 15 or 16 do")


def _even(i: int, count: int) -> float:
    return i / (count - 1) if count > 1 else 0.5


def _place(share: float, free: int) -> int:
    """One of 0 .. free, each for an equal part of the shares in [0, 1)."""
    return min(int(share * (free + 1)), free)


def _rectangle(height: int, width: int, top: int, left: int, rows: int, columns: int) -> Tensor:
    mask = torch.zeros(height, width, dtype=torch.bool)
    mask[top : top + rows, left : left + columns] = True
    return mask
