"""Batches of small pictures drawn with anti-aliased shapes: every picture has its own coordinates.

A shape is a coverage: the part of each pixel, in [0, 1], that lies inside it, (n, h, w). Coverages are box
filters of the signed distance to the outline (in the shape's own units), so edges are smooth at every size
and strokes thinner than a pixel fade and do not break up. Draw in float64: 8-bit levels then do not depend on
the last bit of a machine's arithmetic, nor on what else is in the batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""


@dataclass(frozen=True)
class Canvas:
    """Pictures under the brush, or a window of them (a view: what is painted there is painted here).

    pixels: (n, channels, h, w), written in place.
    x, y: centres of the pixels in the drawing's own units, (n, 1, w) and (n, h, 1); y points down.
    pixel: the size of a pixel in these units, (n, 1, 1).
    """

    pixels: Tensor
    x: Tensor
    y: Tensor
    pixel: Tensor

    @staticmethod
    def blank(size: int, centre: Tensor, scale: Tensor, channels: int = 3) -> Canvas:
        """Black pictures (n, channels, size, size) of the square [-1, 1]^2.

        The drawing's origin is put at `centre` (n, 2: right, down) and its unit is `scale` (n,).
        """
        place = (torch.arange(size, dtype=centre.dtype) + 0.5) * (2 / size) - 1
        pixels = torch.zeros(len(centre), channels, size, size, dtype=centre.dtype)
        x = (place - centre[:, :1]) / scale[:, None]
        y = (place - centre[:, 1:]) / scale[:, None]
        return Canvas(pixels, x[:, None, :], y[:, :, None], (2 / size / scale)[:, None, None])

    def window(self, box: Box) -> Canvas:
        """The smallest window that holds `box`, in the drawing's units, in every picture of the batch."""
        left, top, right, bottom = box
        columns = _covering(self.x[:, 0, :], self.pixel[:, 0], left, right)
        rows = _covering(self.y[:, :, 0], self.pixel[:, 0], top, bottom)
        return Canvas(self.pixels[:, :, rows, columns], self.x[:, :, columns], self.y[:, rows], self.pixel)

    def paint(self, coverage: Tensor, colour: Tensor) -> None:
        """Lay `colour`, (n, channels) or broadcastable to the pixels, over them; coverage (n, h, w)."""
        if colour.dim() == 2:
            colour = colour[:, :, None, None]
        self.pixels.lerp_(colour.expand_as(self.pixels), coverage[:, None].expand_as(self.pixels))

    def inside(self, distance: Tensor) -> Tensor:
        """Coverage of the shape whose signed distance, negative inside, is given."""
        return (0.5 - distance / self.pixel).clamp_(0, 1)

    def stroke(self, distance: Tensor, width: float) -> Tensor:
        """Coverage of a line of that width along the outline."""
        return self.inside(distance - width / 2).sub_(self.inside(distance + width / 2))

    def between(self, top: Tensor, bottom: Tensor) -> Tensor:
        """Coverage of what lies below the curve `top` and above the curve `bottom`, given as y, (n, 1, w)."""
        below_top = ((self.y - top) / self.pixel + 0.5).clamp_(0, 1)
        return below_top.sub_(((self.y - bottom) / self.pixel + 0.5).clamp_(0, 1)).clamp_(min=0)

    def within(self, half_width: Tensor) -> Tensor:
        """Coverage of |x| < half_width, given for each row, (n, h, 1)."""
        right = ((half_width - self.x) / self.pixel + 0.5).clamp_(0, 1)
        return right.sub_(((-half_width - self.x) / self.pixel + 0.5).clamp_(0, 1)).clamp_(min=0)

    def lens(self, x: Tensor, middle: Tensor, half_width: Tensor, half_height: Tensor) -> Tensor:
        """Coverage of a lens around the curve y = `middle`, (n, 1, w), thickest at x = 0, with pointed ends.

        `x` (n, 1, w) is counted from the lens's own middle.
        """
        height = half_height * (1 - (x / half_width).square()).clamp_(min=0)
        return self.between(middle - height, middle + height)

    def dots(self, x: Tensor, y: Tensor, spread: float) -> Tensor:
        """Coverage of k soft dots at (x, y), each (n, k) or (1, k), of that standard deviation.

        Where a pixel is wider than a dot, the dot is as wide as the pixel and fainter: its sum stays.
        """
        variance = spread**2 + (self.pixel / 3) ** 2
        radius = (7 * variance).sqrt()  # the variance of `bump` is 1/7
        across = bump((self.x - x[:, :, None]) / radius)
        down = bump((self.y.mT - y[:, :, None]) / radius)
        return torch.bmm(down.mT, across).mul_(spread**2 / variance).clamp_(max=1)


def bump(x: Tensor) -> Tensor:
    """(1 - x^2)^2 on [-1, 1], zero outside: a soft spot that ends."""
    return (1 - x.square()).clamp_(min=0).square_()


def ellipse(x: Tensor, y: Tensor, half_width: Tensor, half_height: Tensor) -> Tensor:
    """Signed distance to an ellipse around the origin, to first order: f |f'|^-1 with f = r (r - 1).

    x (n, 1, w), y (n, h, 1); the half axes broadcast to them (they may vary slowly from row to row).
    """
    across, down = (x / half_width).square(), (y / half_height).square()
    radius = (across + down).sqrt_()
    slope = (across / half_width**2 + down / half_height**2).sqrt_().clamp_(min=1e-9)
    return (radius - 1).mul_(radius).div_(slope)


def rectangle(x: Tensor, y: Tensor, half_width: float, half_height: float) -> Tensor:
    """Signed distance to an upright rectangle around the origin."""
    across, down = x.abs() - half_width, y.abs() - half_height
    outside = torch.hypot(across.clamp(min=0), down.clamp(min=0))
    return outside + torch.maximum(across, down).clamp(max=0)


def circle(x: Tensor, y: Tensor, radius: Tensor | float) -> Tensor:
    """Signed distance to a circle around the origin."""
    return (x.square() + y.square()).sqrt_() - radius


def _covering(places: Tensor, pixel: Tensor, start: float, stop: float) -> slice:
    """The indices at which a pixel (n, k) of any picture overlaps [start, stop]."""
    overlaps = ((places + pixel > start) & (places - pixel < stop)).any(0)
    found = overlaps.nonzero()
    return slice(int(found[0]), int(found[-1]) + 1) if len(found) else slice(0, 0)
