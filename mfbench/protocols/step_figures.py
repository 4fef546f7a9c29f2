"""The figures of `step_consistency`, and what a measurement keeps for them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mfbench.contracts import Record
from mfbench.protocols import style
from mfbench.protocols.showing import Kept, evenly, in_two_lines, one_of_each, role_of, value_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[Any]

DRAWN_POINTS = 1000
DRAWN_IMAGES = 4
SQUARE = (1.7, 1.7)
"""One panel of samples, in inches."""
ROUNDING = 1e-5
"""Distances below are float32 rounding and the reference's tolerance, and tell nothing about order."""


def kept(samples: Tensor, held_out: Tensor) -> dict[str, Array]:
    """The first samples, small: points as they are, images as bytes; and as many held-out ones."""

    def small(x: Tensor) -> Array:
        x = x.detach()[: DRAWN_POINTS if x.ndim == 2 else DRAWN_IMAGES].cpu()
        array: Array = x.numpy().astype(np.float16) if x.ndim == 2 else (x.clamp(0, 1) * 255).byte().numpy()
        return array

    return {"samples": small(samples), "held_out": small(held_out)}


def draw(records: Sequence[Record], arrays: Sequence[Kept]) -> dict[str, Figure]:
    """Sample grids over h, and error curves, for each generator among the records."""
    figures: dict[str, Figure] = {}
    groups: dict[str, list[tuple[Record, Kept]]] = defaultdict(list)
    for record, kept in zip(records, arrays):
        groups[generator_of(record)].append((record, kept))
    for name, pairs in groups.items():
        ending = f"_{name}" if len(groups) > 1 else ""
        of_group = [record for record, _ in pairs]
        shown = one_of_each(of_group, [kept for _, kept in pairs])
        if shown:
            figures[f"samples{ending}"] = draw_samples(shown)
        figures[f"error{ending}"] = draw_errors(of_group)
    return figures
