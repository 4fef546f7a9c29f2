"""The control: the size of the PNG file, and nothing learned."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor

from mfbench import DataSpec, Likelihood, Role
from mfbench_ood.compression import compressed_nats
from mfbench_ood.images import require_images


class PngSize(Likelihood):
    """Minus the length of the 8-bit image as a PNG, in nats: simple images count as seen."""

    role: ClassVar[Role] = "control"
    bound: ClassVar[Literal["exact", "lower", "score"]] = "score"

    def build(self, spec: DataSpec) -> None:
        require_images(spec.shape, "png_size")

    def score(self, x: Tensor, *, rng: torch.Generator | None = None) -> Tensor:
        return -compressed_nats(x, "png").to(x.dtype)
