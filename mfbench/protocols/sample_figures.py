"""Pictures of samples, of points and of images, for every protocol that draws samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mfbench.contracts import Record
from mfbench.protocols import style
from mfbench.protocols.showing import Kept, in_lines, one_of_each, seeds_of, value_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[Any]

DRAWN_POINTS = 1000
DRAWN_IMAGES = 4
SQUARE = (1.7, 1.7)
"""One panel of samples, in inches."""


def kept(samples: Tensor, held_out: Tensor) -> dict[str, Array]:
    """The first samples, small: points in half precision, images as bytes; and as many held-out ones."""

    def small(x: Tensor) -> Array:
        x = x.detach()[: DRAWN_POINTS if x.ndim == 2 else DRAWN_IMAGES].cpu()
        array: Array = x.numpy().astype(np.float16) if x.ndim == 2 else (x.clamp(0, 1) * 255).byte().numpy()
        return array

    return {"samples": small(samples), "held_out": small(held_out)}


def draw(records: Sequence[Record], arrays: Sequence[Kept]) -> dict[str, Figure]:
    """One panel a generator."""
    shown = one_of_each(records, arrays)
    if not shown:
        return {}
    columns = min(4, len(shown))
    figure, axes = style.new_figure(-(-len(shown) // columns), columns, panel=(2.0, 2.3))
    for ax in axes.flat:
        style.plain(ax)
    for ax, (record, kept) in zip(axes.flat, shown):
        picture(ax, kept)
        energy = f"energy distance {value_of(record, 'energy_distance'):.2g}"
        style.label(ax, title=in_lines(record.label), x=energy)
    style.heading(figure, seeds_of(record for record, _ in shown))
    return {"samples": figure}


def picture(ax: Axes, kept: Kept) -> None:
    """Points (their first two coordinates) over held-out ones in grey, or up to four images."""
    if kept["samples"].ndim == 2:
        _cloud(ax, kept)
    else:
        _montage(ax, kept["samples"])


def _cloud(ax: Axes, kept: Kept) -> None:
    held_out = kept["held_out"].astype(np.float32)
    low, high = held_out[:, :2].min(axis=0), held_out[:, :2].max(axis=0)
    margin = 0.15 * (high - low)
    for points, colour in ((held_out, "0.85"), (kept["samples"].astype(np.float32), style.PALETTE[0])):
        ax.scatter(points[:, 0], points[:, 1], s=2, color=colour, linewidths=0, rasterized=True)
    ax.set_xlim(low[0] - margin[0], high[0] + margin[0])
    ax.set_ylim(low[1] - margin[1], high[1] + margin[1])


def _montage(ax: Axes, images: Array) -> None:
    """Images (n, channels, h, w), n <= 4, two in a row."""
    blank = np.full_like(images[:1], 255)
    four = np.concatenate([images[:DRAWN_IMAGES], *[blank] * (DRAWN_IMAGES - len(images))])
    rows = [np.concatenate(list(pair), axis=2) for pair in (four[:2], four[2:])]
    mosaic = np.moveaxis(np.concatenate(rows, axis=1), 0, 2)
    ax.imshow(mosaic.squeeze(), cmap="gray" if mosaic.shape[2] == 1 else None, vmin=0, vmax=255)
    ax.axhline(images.shape[2] - 0.5, color="1", linewidth=1.5)  # between the images
    ax.axvline(images.shape[3] - 0.5, color="1", linewidth=1.5)
