"""Pictures of generated images: grids beside data, and samples beside their nearest training images.

Kept arrays, images as bytes (n, channels, h, w): `grid` and `grid_held_out`; `copy_samples`, and for each
space in which neighbours were sought ("pixels", "features") `copy_near:<space>` and `copy_ratio:<space>`
(n,), the distance ratio of `sample_copies.Copies`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mfbench.contracts import Record
from mfbench.protocols import style
from mfbench.protocols.sample_copies import Copies
from mfbench.protocols.showing import Kept, evenly, in_lines, one_of_each, seeds_of, value_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[Any]
Shown = Sequence[tuple[Record, Kept]]

SIDE = 6
"""Images of a grid, along a side."""
DRAWN_COPIES = 8
"""Samples shown with their neighbours: evenly spaced from the least distance ratio to the largest."""
SPACES = ("pixels", "features")


def kept(samples: Tensor, held_out: Tensor) -> dict[str, Array]:
    """The first samples and held-out images."""
    return {"grid": as_bytes(samples[: SIDE**2]), "grid_held_out": as_bytes(held_out[: SIDE**2])}


def kept_copies(samples: Tensor, train: Tensor, found: Mapping[str, Copies]) -> dict[str, Array]:
    """Some samples and their nearest training images, by the ratio in the last space."""
    order = np.argsort(list(found.values())[-1].ratio, kind="stable")
    chosen = order[evenly(len(order), DRAWN_COPIES)]
    arrays = {"copy_samples": as_bytes(samples[torch.from_numpy(chosen).to(samples.device)])}
    for space, copies in found.items():
        rows = torch.from_numpy(copies.samples.rows[chosen]).to(train.device)
        arrays[f"copy_near:{space}"] = as_bytes(train[rows])
        arrays[f"copy_ratio:{space}"] = copies.ratio[chosen].astype(np.float32)
    return arrays


def as_bytes(images: Tensor) -> Array:
    """Clamped to [0, 1] and rounded to 8-bit levels."""
    array: Array = (images.detach().clamp(0, 1) * 255).round().byte().cpu().numpy()
    return array


def draw(records: Sequence[Record], arrays: Sequence[Kept]) -> dict[str, Figure]:
    """Grids of samples, and their nearest training images."""
    shown = [pair for pair in one_of_each(records, arrays) if "grid" in pair[1]]
    if not shown:
        return {}
    figures = {"samples": draw_grids(shown)}
    copied = [pair for pair in shown if "copy_samples" in pair[1]]
    if copied:
        figures["nearest_training"] = draw_copies(copied)
    return figures


def draw_grids(shown: Shown) -> Figure:
    """The data first, then a panel a generator."""
    columns = min(4, len(shown) + 1)
    figure, axes = style.new_figure(-(-(len(shown) + 1) // columns), columns, panel=(2.4, 3.1))
    for ax in axes.flat:
        style.plain(ax)
    show(axes.flat[0], mosaic(shown[0][1]["grid_held_out"], SIDE))
    style.label(axes.flat[0], title=f"{shown[0][0].data}: held out")
    for ax, (record, kept) in zip(axes.flat[1:], shown):
        show(ax, mosaic(kept["grid"], SIDE))
        kid = value_of(record, "kid")
        said = f"energy distance {value_of(record, 'energy_distance'):.2g}"
        style.label(ax, title=in_lines(record.label), x=said if np.isnan(kid) else f"{said}, kid {kid:.2g}")
    style.heading(figure, seeds_of(record for record, _ in shown))
    return figure


def draw_copies(shown: Shown) -> Figure:
    """A generator's samples in a row, and below each its nearest training image in each space."""
    spaces = [space for space in SPACES if any(f"copy_near:{space}" in kept for _, kept in shown)]
    lines = 1 + len(spaces)
    figure, axes = style.new_figure(lines * len(shown), DRAWN_COPIES, panel=(0.95, 1.0))
    for ax in axes.flat:
        style.plain(ax)
    for place, (record, kept) in enumerate(shown):
        block = axes[lines * place : lines * (place + 1)]
        for ax, image in zip(block[0], kept["copy_samples"]):
            show(ax, mosaic(image[None], 1))
        _side(block[0, 0], in_lines(record.label))
        for line, space in zip(block[1:], spaces):
            if f"copy_near:{space}" not in kept:
                continue
            _side(line[0], f"nearest,\n{space}")
            for ax, image, ratio in zip(line, kept[f"copy_near:{space}"], kept[f"copy_ratio:{space}"]):
                show(ax, mosaic(image[None], 1))
                ax.set_xlabel(f"{ratio:.2f}", fontsize=7, labelpad=1)
    style.heading(
        figure,
        f"{seeds_of(record for record, _ in shown)}; samples above their nearest training images.\nNumbers: "
        "distance to that image over distance to the nearest held-out image",
    )
    return figure


def _side(ax: Any, text: str) -> None:
    ax.set_ylabel(text, rotation=0, ha="right", va="center", fontsize=8)


def show(ax: Any, picture: Array) -> None:
    """A mosaic (h, w, channels)."""
    ax.imshow(
        picture.squeeze(-1) if picture.shape[2] == 1 else picture,
        cmap="gray" if picture.shape[2] == 1 else None,
        vmin=0,
        vmax=255,
        interpolation="nearest",
    )


def mosaic(images: Array, side: int) -> Array:
    """Images (n, channels, h, w), `side` in a row, as one (height, width, channels).

    White lines between them, a sixteenth of an image thick; what is missing in the last row is white.
    """
    n, channels, height, width = images.shape
    rows, gap = -(-n // side), max(1, height // 16)
    full = np.full((rows * side, channels, height + gap, width + gap), 255, dtype=np.uint8)
    full[:n, :, :height, :width] = images
    wide = full.reshape(rows, side, *full.shape[1:]).transpose(0, 3, 1, 4, 2)
    whole: Array = wide.reshape(rows * (height + gap), side * (width + gap), channels)
    return whole[:-gap, :-gap]
