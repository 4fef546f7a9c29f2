"""Iterative back-projection (Irani and Peleg 1991)."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.nn.functional import avg_pool2d

from mfbench import Role, UserError
from mfbench_superresolution.interpolation import Interpolation, cubic


class BackProjection(Interpolation):
    """x <- x + U(low - D x), `iterations` times, from x = U(low): D the means of blocks, U cubic convolution.

    What the enlarged image's means lack is enlarged and added, until they are the small image; values are
    held to [0, 1] after each step, as every image's are.
    """

    role: ClassVar[Role] = "control"
    who: ClassVar[str] = "back_projection"

    def __init__(self, iterations: int = 20) -> None:
        if iterations < 0:
            raise UserError(f"back_projection: iterations = {iterations}: at least 0")
        self.iterations = iterations

    def enlarge(self, low: Tensor, factor: int) -> Tensor:
        x = cubic(low, factor).clamp(0, 1)
        for _ in range(self.iterations):
            x = (x + cubic(low - avg_pool2d(x, factor), factor)).clamp(0, 1)
        return x
