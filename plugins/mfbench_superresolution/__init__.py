"""Super-resolution without learning: what learned detail must beat, and a projection for all methods."""

from __future__ import annotations

from typing import TYPE_CHECKING

import mfbench

if TYPE_CHECKING:
    from mfbench.registry import Registrar


@mfbench.hookimpl
def mfbench_register(registry: Registrar) -> None:
    """Everything by import path: reading this imports no torch."""
    registry.generator(
        "bicubic",
        "mfbench_superresolution.bicubic:Bicubic",
        summary="cubic convolution of the small image",
        reference="Keys 1981",
    )
    registry.generator(
        "back_projection",
        "mfbench_superresolution.back_projection:BackProjection",
        summary="cubic convolution, corrected until its block means are the small image",
        reference="Irani and Peleg 1991",
    )
    registry.generator(
        "projected",
        "mfbench_superresolution.projected:Projected",
        summary="another super-resolver's images, moved onto those whose block means are the small image",
    )
