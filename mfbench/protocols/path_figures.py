"""The figure of `semantic_path`: decoded paths, each with its story.

Kept arrays: `paths` (m, at most MOST_STEPS, c, h, w), bytes, and the text `stories`, a line a path.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mfbench.contracts import Record
from mfbench.protocols import style
from mfbench.protocols.path_story import sentence
from mfbench.protocols.rows_shown import choose
from mfbench.protocols.sample_image_figures import as_bytes, mosaic, show
from mfbench.protocols.showing import Kept, evenly, one_of_each, value_of
from mfbench.protocols.texts import as_bytes_of, text_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[Any]

PATHS = 4
MOST_STEPS = 11
MOST_METHODS = 8
LINE = 100
"""Letters of a story on a line."""


def kept(paths: Tensor, read: Array | None, names: tuple[str, ...], truth: Array) -> dict[str, Array]:
    """Some of the paths (n, steps, ...), of images, with what is read off them, (n, steps, k)."""
    if paths.ndim != 5:
        return {}
    binary = [set(np.unique(column)) <= {0, 1} for column in truth.T]
    told = [""] * PATHS if read is None else [sentence(story, names, binary) for story in read[:PATHS]]
    some = evenly(paths.shape[1], MOST_STEPS)
    shown = paths[:PATHS, some.tolist()]
    return {
        "paths": as_bytes(shown.flatten(0, 1)).reshape(tuple(shown.shape)),
        "stories": as_bytes_of("\n".join(told)),
    }


def draw(records: Sequence[Record], arrays: Sequence[Kept]) -> dict[str, Figure]:
    """A block a method, a row a path, its story below it."""
    told = [pair for pair in one_of_each(records, arrays) if "paths" in pair[1]]
    if not told:
        return {}
    rows = choose(told, MOST_METHODS, _right)
    shown = rows.shown
    height, width = shown[0][1]["paths"].shape[-2:]
    lines = sum(len(kept["paths"]) for _, kept in shown)
    tall = 7.0 * height / (MOST_STEPS * width) + 0.32
    figure, axes = style.new_figure(lines, 1, panel=(7.6, tall))
    line = 0
    for record, kept in shown:
        stories = text_of(kept["stories"]).split("\n")
        for place, (path, story) in enumerate(zip(kept["paths"], stories)):
            ax = axes[line, 0]
            style.plain(ax)
            show(ax, mosaic(path, len(path)))
            ax.set_xlabel("\n".join(textwrap.wrap(story, LINE)), fontsize=6, labelpad=2)
            if place == 0:
                text = f"{rows.title(record)}\ntold right {_right(record):.2f}"
                ax.set_ylabel(text, rotation=0, ha="right", va="center", fontsize=7)
            line += 1
    rows.head(figure, "straight lines between codes, and what they tell")
    return {"paths": figure}


def _right(record: Record) -> float:
    return value_of(record, "told_right")
