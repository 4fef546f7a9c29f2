"""The figures of `attribute_editing`: edits and sweeps (Tu et al. 2023, Fig. 12 to 14), success.

Kept arrays, images as bytes: `edits` (m, 2 + k, c, h, w), an image, its reconstruction and an edit of each
attribute; `edits_right` (m, k) bool; `names`, text; `sweeps` (rows, SWEEP, c, h, w) with the text
`sweep_names`, a line a row; `success` and `preserved` (k,).
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mfbench.contracts import Record
from mfbench.protocols import style
from mfbench.protocols.editing_handles import Handle, with_places
from mfbench.protocols.editing_outcomes import Outcomes
from mfbench.protocols.rows_shown import TITLE_SIZE, Rows, choose
from mfbench.protocols.sample_image_figures import as_bytes, mosaic, show
from mfbench.protocols.showing import Kept, looks_of, one_of_each, shared_legend, value_of
from mfbench.protocols.texts import as_bytes_of, text_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[Any]

IMAGES = 4
SWEEP, ENDS = 9, (-0.5, 1.5)
"""Steps of a sweep, and where it begins and ends: 0 is the lowest value's place, 1 the highest's."""
LEFT_OUT = " (left out)"
"""Said of an attribute that the protocol's `left_out` names; drawn where the model did not read it."""
SUCCEEDS = (
    "+ where the edit succeeds: the classifier sees the value asked for, and did not see it when the image "
    "was only rebuilt"
)
MOST_METHODS = 8
COLUMNS, PANEL, SIDE = 3, 3.6, 0.8
"""Panels of sweeps side by side; width of a panel and, of it, of the names at its side, in inches."""
LEGEND = 80
"""Letters of a line of the legend."""
MOST_ATTRIBUTES = 14


class Editor(Protocol):
    """What of the protocol's editor is drawn."""

    images: Tensor
    codes: Tensor
    reconstructions: Tensor
    handles: Sequence[Handle]

    def decode(self, codes: Tensor) -> Tensor: ...

    def edited(self, j: int, target: Array) -> Tensor: ...


def kept(editor: Editor, outcomes: Outcomes, left_out: tuple[str, ...]) -> dict[str, Array]:
    """What the figures need; images where the data are images."""
    success = outcomes.success.mean(axis=0)
    arrays: dict[str, Array] = {
        "names": as_bytes_of("\n".join(outcomes.names)),
        "success": success,
        "preserved": outcomes.preserved(outcomes.unedited).mean(axis=0),
    }
    if editor.images.ndim != 4:
        return arrays
    chosen = range(min(MOST_ATTRIBUTES, len(outcomes.names)))
    pictures = [editor.images, editor.reconstructions]
    pictures += [editor.edited(j, outcomes.target[:, j]) for j in chosen]
    rows = [as_bytes(images[:IMAGES]) for images in pictures]
    sweeps, names = _sweeps(editor, outcomes, success, left_out)
    return arrays | {
        "edits": np.stack(rows, axis=1),
        "edits_right": outcomes.success[:IMAGES, : len(chosen)] > 0,
        "sweeps": sweeps,
        "sweep_names": as_bytes_of("\n".join(names)),
    }


def _sweeps(
    editor: Editor, outcomes: Outcomes, success: Array, left_out: tuple[str, ...]
) -> tuple[Array, list[str]]:
    """Of two images: attributes of most success, each and together (Fig. 12); those left out (Fig. 14)."""
    names = outcomes.names
    out = [j for j, name in enumerate(names) if name in left_out][:2]
    best = [int(j) for j in np.argsort(-success, kind="stable") if j not in out][:2]
    worst = [int(j) for j in np.argsort(success, kind="stable") if j not in (*out, *best)][:1]
    rows, told = [], []
    for image in range(min(2, len(editor.codes))):
        for several in [
            *([j] for j in best),
            *([best] if len(best) > 1 else []),
            *([j] for j in worst + out),
        ]:
            rows.append(as_bytes(editor.decode(_swept(editor, image, several))))
            told.append(" + ".join(names[j] for j in several) + LEFT_OUT * (several[0] in out))
    return np.stack(rows), told


def _swept(editor: Editor, image: int, several: Sequence[int]) -> Tensor:
    """Codes (SWEEP, d) of an image with these attributes moved from before their lowest value to beyond."""
    codes = editor.codes[image : image + 1].expand(SWEEP, -1)
    positions = np.linspace(*ENDS, SWEEP)
    chosen = [editor.handles[j] for j in several]
    return with_places(codes, [(h.dimension, np.array([h.place(p) for p in positions])) for h in chosen])


def draw(records: Sequence[Record], arrays: Sequence[Kept]) -> dict[str, Figure]:
    """Edits and sweeps of images, and success over preservation."""
    shown = [pair for pair in one_of_each(records, arrays) if "success" in pair[1]]
    if not shown:
        return {}
    figures = {"success": draw_success(choose(shown, len(shown)))}
    pictures = [pair for pair in shown if "edits" in pair[1]]
    if pictures:
        rows = choose(pictures, MOST_METHODS, _quality)
        figures |= {"edits": draw_edits(rows), "sweeps": draw_sweeps(rows)}
    return figures


def _quality(record: Record) -> float:
    return value_of(record, "edit_quality")


def draw_success(rows: Rows) -> Figure:
    """A point an attribute: how often its edit succeeds, over how much of the others it keeps."""
    figure, ((ax,),) = style.new_figure(1, 1, panel=(6.0, 3.9))
    looks = looks_of(record for record, _ in rows.shown)
    for record, kept in rows.shown:
        look = {key: v for key, v in looks[record.label].items() if key in ("color", "marker", "fillstyle")}
        look |= {"marker": look.get("marker") or "."}
        name = "\n".join(textwrap.wrap(rows.names[record.label], LEGEND))
        ax.plot(kept["preserved"], kept["success"], linestyle="", label=name, **look)
    style.label(ax, x="other attributes preserved", y="success")
    shared_legend(figure, [ax], 2)
    rows.head(figure, "a point an attribute")
    return figure


def draw_edits(rows: Rows) -> Figure:
    """A block a method, a row an image; below an edit whether it succeeded."""
    shown = rows.shown
    names = text_of(shown[0][1]["names"]).split("\n")
    columns = shown[0][1]["edits"].shape[1]
    lines = sum(len(kept["edits"]) for _, kept in shown)
    figure, axes = style.new_figure(lines, columns, panel=(0.72, 0.8))
    for ax in axes.flat:
        style.plain(ax)
    for ax, title in zip(axes[0], ["image", "rebuilt", *names]):
        ax.set_title(title.replace("_", "\n"), fontsize=5)
    line = 0
    for record, kept in shown:
        for place, (row, right) in enumerate(zip(kept["edits"], kept["edits_right"])):
            for ax, image in zip(axes[line], row):
                show(ax, mosaic(image[None], 1))
            for ax, good in zip(axes[line][2:], right):
                ax.set_xlabel("+" if good else "–", fontsize=6, labelpad=0)
            if place == 0:
                text = f"{rows.title(record)}\nquality {_quality(record):.2f}"
                axes[line][0].set_ylabel(text, rotation=0, ha="right", va="center", fontsize=6)
            line += 1
    rows.head(figure, SUCCEEDS)
    return figure


def draw_sweeps(rows: Rows) -> Figure:
    """A panel a method: rows of attributes, each from before its lowest value to beyond its highest."""
    height, width = rows.shown[0][1]["sweeps"].shape[-2:]
    of_a_row = (PANEL - SIDE) * height / (SWEEP * width)
    figure, axes = rows.panels(
        min(COLUMNS, len(rows.shown)), PANEL, lambda kept: of_a_row * len(kept["sweeps"])
    )
    for ax in axes.flat:
        style.plain(ax)
        ax.set_anchor("N")
    for ax, (record, kept) in zip(axes.flat, rows.shown):
        images = kept["sweeps"]
        show(ax, mosaic(images.reshape(-1, *images.shape[2:]), SWEEP))
        full = height + max(1, height // 16)
        marks = [(row + 0.5) * full for row in range(len(images))]
        ax.set_yticks(marks, _sweep_names(record, kept), fontsize=5)
        ax.tick_params(length=0)
        ax.set_title(rows.title(record), fontsize=TITLE_SIZE)
    low, high = ENDS
    rows.head(figure, f"from {low:g} to {high:g}: 0 lowest, 1 highest value")
    return figure


def _sweep_names(record: Record, kept: Kept) -> list[str]:
    """What is swept in each row, in lines; said to be left out only of a model that did not read its labels.

    Of a method without a parameter `left_out` that used some of the labels, the protocol's `left_out` is
    taken at its word.
    """
    own = record.parameters.get("left_out")
    guided = value_of(record, "labels_used") == 1
    names = []
    for name in text_of(kept["sweep_names"]).split("\n"):
        plain = name.removesuffix(LEFT_OUT)
        read = guided if own is None else plain not in own
        names.append((plain if read else name).replace(" + ", " +\n").replace(" (", "\n("))
    return names
