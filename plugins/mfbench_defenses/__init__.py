"""Defenses against attacks on image classifiers, and the undefended classifier that they are held against."""

from __future__ import annotations

from typing import TYPE_CHECKING

import mfbench

if TYPE_CHECKING:
    from mfbench.registry import Registrar


@mfbench.hookimpl
def mfbench_register(registry: Registrar) -> None:
    """Everything by import path: reading this imports no torch."""
    registry.defense(
        "cnn",
        "mfbench_defenses.cnn:CNN",
        summary="small residual network, undefended",
        reference="He et al. 2016",
    )
