"""Another look at the same image: small random affine maps, which change nothing that anyone would name."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

_MATRIX = ((0.15, 0.25), (0.15, 0.15))
"""The most, at strength 1, by which entries of the map differ from the identity's, in pixels a pixel."""
_SHIFT = 0.05
"""The most that images are moved at strength 1, as a share of the shorter side."""
STRONGEST = 2.5
"""Beyond, a map may turn an image inside out: (1 - .15 s)^2 = .25 * .15 s^2 at s = 2.9."""


def viewed(x: Tensor, strength: float, rng: torch.Generator) -> Tensor:
    """One view of each image (n, c, h, w), bilinear, outside is 0.

    (x, y) -> (I + A) (x, y) + b about the middle, each entry even between +- its most.
    """
    height, width = x.shape[2:]
    drawn = torch.rand(len(x), 2, 3, generator=rng, dtype=x.dtype, device=rng.device).to(x.device)
    (xx, xy), (yx, yy) = _MATRIX
    shift_x, shift_y = (2 * _SHIFT * min(height, width) / side for side in (width, height))
    # affine_grid counts from -1 to 1 along each side: what crosses from one to the other is rescaled
    most = x.new_tensor([[xx, xy * height / width, shift_x], [yx * width / height, yy, shift_y]])
    maps = torch.eye(2, 3).to(x) + strength * most * (2 * drawn - 1)
    grid = affine_grid(maps, list(x.shape), align_corners=False)
    return grid_sample(x, grid, align_corners=False)
