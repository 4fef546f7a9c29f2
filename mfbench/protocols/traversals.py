"""Traversals (Tu et al. 2023, Fig. 10): one dimension of an image's code is moved, and all codes decoded.

Between symbols a dimension passes the middle of every symbol (as far as they are few) or its range among
held-out codes; inside a symbol it moves through the codes that have the image's own symbol.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mfbench.contracts import Disentangler
from mfbench.protocols import style
from mfbench.protocols.codes import decode
from mfbench.protocols.disentanglement_measures import Told
from mfbench.protocols.rows_shown import TITLE_SIZE, Rows
from mfbench.protocols.sample_image_figures import as_bytes, mosaic, show

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[Any]

STEPS = 8
MOST_AXES = 6
COLUMNS, PANEL, SIDE = 3, 3.4, 0.6
"""Panels side by side; width of a panel and, of it, of the names at its side, in inches."""
INSIDE = 2
"""Of so many dimensions a row inside the symbol is shown, too."""


def most_telling(information: Array) -> list[int]:
    """Dimensions by the most that they tell of any factor (d, k), at most `MOST_AXES`, in their order."""
    order = np.argsort(-information.max(axis=1), kind="stable")[:MOST_AXES]
    return sorted(int(axis) for axis in order)


def kept(
    method: Disentangler, told: Told, axes: Sequence[int], like: Tensor, shape: tuple[int, ...]
) -> dict[str, Array]:
    """Decoded traversals of the first held-out code, for images: bytes (rows, STEPS, c, h, w).

    `like`: a tensor of the method's device and dtype. `traversal_axes` (rows,): the dimension of each row;
    `traversal_inside` (rows,): whether inside a symbol.
    """
    if len(shape) != 3:
        return {}
    rows = [(axis, False) for axis in axes] + [(axis, True) for axis in axes[:INSIDE]]
    codes = np.stack([_moved(told, axis, inside) for axis, inside in rows])
    moved = torch.as_tensor(codes.reshape(-1, codes.shape[2]), dtype=like.dtype, device=like.device)
    images = as_bytes(decode(method, moved, shape)).reshape(*codes.shape[:2], *shape)
    return {
        "traversal": images,
        "traversal_axes": np.array([axis for axis, _ in rows], dtype=np.int16),
        "traversal_inside": np.array([inside for _, inside in rows]),
    }


def _moved(told: Told, axis: int, inside: bool) -> Array:
    """Codes (STEPS, d): the first one, moved along a dimension."""
    codes = np.repeat(told.codes[:1], STEPS, axis=0)
    along, base = told.codes[:, axis], told.message[0]
    symbols = told.message[:, axis] if axis < told.message.shape[1] else np.zeros(len(along), np.int64)
    if inside:
        own = along[symbols == base[axis]] if axis < len(base) else along
        codes[:, axis] = _between(own, 0.02)
        return codes
    middles = np.array([np.median(along[symbols == symbol]) for symbol in np.unique(symbols)])
    if 2 < len(middles) <= STEPS:
        codes[:, axis] = np.concatenate([middles, np.full(STEPS - len(middles), middles[-1])])
    elif len(middles) == 2:  # from half a step below the lower to half a step above the upper one
        reach = middles[1] - middles[0]
        codes[:, axis] = np.linspace(middles[0] - reach / 2, middles[1] + reach / 2, STEPS)
    else:
        codes[:, axis] = _between(along, 0.01)
    return codes


def _between(codes: Array, tail: float) -> Array:
    """Even steps (STEPS,) from the lower to the upper quantile of codes (n,)."""
    return np.linspace(np.quantile(codes, tail), np.quantile(codes, 1 - tail), STEPS)


def draw(rows: Rows) -> Figure:
    """A panel a method, a row a dimension; as high as its images and titles are."""
    height, width = rows.shown[0][1]["traversal"].shape[-2:]
    of_a_row = (PANEL - SIDE) * height / (STEPS * width)
    figure, axes = rows.panels(
        min(COLUMNS, len(rows.shown)), PANEL, lambda kept: of_a_row * len(kept["traversal"])
    )
    for ax in axes.flat:
        style.plain(ax)
        ax.set_anchor("N")
    for ax, (record, kept) in zip(axes.flat, rows.shown):
        images = kept["traversal"]
        show(ax, mosaic(images.reshape(-1, *images.shape[2:]), STEPS))
        full = height + max(1, height // 16)
        marks = [(row + 0.5) * full for row in range(len(images))]
        texts = [
            f"{axis}{' inside' * bool(inside)}"
            for axis, inside in zip(kept["traversal_axes"], kept["traversal_inside"])
        ]
        ax.set_yticks(marks, texts, fontsize=6)
        ax.tick_params(length=0)
        ax.set_title(rows.title(record), fontsize=TITLE_SIZE)
    rows.head(figure, "one dimension of one image's code, moved")
    return figure
