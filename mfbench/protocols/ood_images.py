"""What `ood_auroc` keeps and shows of images: the ones with the highest and the lowest score of each set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mfbench.contracts import Record
from mfbench.protocols import style
from mfbench.protocols.showing import Kept, in_lines, seeds_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from mfbench.protocols.ood_part import Part

Array = NDArray[Any]

EXTREMES = 5
"""Images kept of either end."""
GAP = 1
"""Pixels between images of a mosaic, per 16 of their height."""
WIDTH, BETWEEN = 2.0, 0.15
"""Of one mosaic, and between rows of them, in inches."""


def extremes(part: Part, scores: Array) -> Array:
    """(2 k, channels, height, width) 8-bit levels: the k best by score from the best down, then the k worst
    from the worst up; k is `EXTREMES`, or half the samples where there are fewer.
    """
    order = np.argsort(-scores, kind="stable")
    some = min(EXTREMES, len(order) // 2)
    rows = np.concatenate([order[:some], order[::-1][:some]])
    shown = part.x[rows.tolist()].detach().float().cpu().numpy()
    levels: Array = np.round(np.clip(shown, 0, 1) * 255).astype(np.uint8)
    return levels


def kept_images(
    seen: Part, unseen: Sequence[Part], pairs: Mapping[str, tuple[Array, Array]]
) -> dict[str, Array]:
    """`image:<group>` of each set, where the data are images; nothing otherwise.

    Of the seen set by the scores that it has against the first unseen one.
    """
    if seen.data.history is None:
        return {}
    first = next(iter(pairs.values()))[0]
    arrays = {"image:in": extremes(seen, first)}
    return arrays | {f"image:out:{part.name}": extremes(part, pairs[part.name][1]) for part in unseen}


def draw_examples(shown: Sequence[tuple[Record, Kept]], names: Sequence[str]) -> Figure:
    """Rows: methods; columns: the seen set and the others; above those with the highest scores."""
    groups = {"in": f"{shown[0][0].data}(seen)", **{f"out:{name}": name for name in names}}
    tall, wide, _ = mosaic(shown[0][1]["image:in"]).shape
    panel = (WIDTH, max(WIDTH * tall / wide, 0.6) + BETWEEN)
    figure, axes = style.new_figure(len(shown), len(groups), panel=panel)
    for line, (record, kept) in zip(axes, shown):
        for ax, group in zip(line, groups):
            style.plain(ax)
            if f"image:{group}" in kept:
                ax.imshow(mosaic(kept[f"image:{group}"]), interpolation="nearest")
        beside(line[0], in_lines(record.label))
    for ax, title in zip(axes[0], groups.values()):
        ax.set_title(in_lines(title), fontsize=8)
    said = "above the highest scores of each set, below the lowest; the extreme one is on the left"
    style.heading(figure, f"{seeds_of(record for record, _ in shown)}: {said}")
    return figure


def beside(ax: Axes, text: str) -> None:
    """Lines of text on the left of a row of panels, too low to hold it upright."""
    ax.set_ylabel(text, fontsize=7, rotation="horizontal", ha="right", va="center")


def mosaic(images: Array) -> Array:
    """(h, w, 3) 8-bit levels of images (2 k, c, ...): k in a row, the others below, white between them."""
    count, _, height, width = images.shape
    columns, gap = count // 2, max(1, GAP * height // 16)
    tall, wide = 2 * (height + gap) - gap, columns * (width + gap) - gap
    canvas = np.full((tall, wide, 3), 255, dtype=np.uint8)
    for index, image in enumerate(images):
        row, column = divmod(index, columns)
        top, left = row * (height + gap), column * (width + gap)
        canvas[top : top + height, left : left + width] = image.transpose(1, 2, 0)
    return canvas
