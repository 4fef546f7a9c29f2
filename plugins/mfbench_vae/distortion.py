"""Small random affine maps of images: what an encoder should not care about, known without labels."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

_TURN, _SHEAR, _STRETCH, _SHIFT = 0.2, 0.3, 0.15, 0.1
"""At most: angle (radians), shear, logarithm of a side's scale, shift (in halves of the shorter side)."""


def distorted(images: Tensor, strength: float, rng: torch.Generator) -> Tensor:
    """Images (n, c, h, w), each turned, sheared, stretched and shifted by chance, bilinear; outside is 0.

    Amounts are even between plus and minus `strength` times the largest, about the middle of the image.
    """
    height, width = images.shape[2:]
    drawn = torch.rand(6, len(images), generator=rng, dtype=images.dtype, device=rng.device).to(images.device)
    turn, shear, stretch_x, stretch_y, shift_x, shift_y = strength * (2 * drawn - 1)
    cos, sin = (_TURN * turn).cos(), (_TURN * turn).sin()
    right, down = (_STRETCH * stretch_x).exp(), (_STRETCH * stretch_y).exp()
    slant = _SHEAR * shear
    short = min(height, width)
    rows = [
        # coordinates run from -1 to 1 along each side, so that a turn must know of both
        [right * cos, right * (cos * slant - sin) * (height / width), _SHIFT * shift_x * (short / width)],
        [down * sin * (width / height), down * (sin * slant + cos), _SHIFT * shift_y * (short / height)],
    ]
    maps = torch.stack([torch.stack(row, dim=1) for row in rows], dim=1)
    grid = affine_grid(maps, list(images.shape), align_corners=False)
    return grid_sample(images, grid, align_corners=False)
