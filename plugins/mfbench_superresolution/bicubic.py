"""Bicubic interpolation (Keys 1981)."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from mfbench import Role
from mfbench_superresolution.interpolation import Interpolation, cubic


class Bicubic(Interpolation):
    """Cubic convolution of the small image: smooth, and without any detail."""

    role: ClassVar[Role] = "control"
    who: ClassVar[str] = "bicubic"

    def enlarge(self, low: Tensor, factor: int) -> Tensor:
        return cubic(low, factor).clamp(0, 1)
