"""The figures of `attribute_editing`: edits and sweeps (Tu et al. 2023, Fig. 12 to 14), success.

Kept arrays, images as bytes: `edits` (m, 2 + k, c, h, w), an image, its reconstruction and an edit of each
attribute; `edits_right` (m, k) bool; `names`, text; `sweeps` (rows, SWEEP, c, h, w) with the text
`sweep_names`, a line a row; `success` and `preserved` (k,).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mfbench.contracts import Record
from mfbench.protocols import style
from mfbench.protocols.editing_handles import Handle, with_places
from mfbench.protocols.editing_outcomes import Outcomes
from mfbench.protocols.sample_image_figures import as_bytes, mosaic, show
from mfbench.protocols.showing import Kept, in_lines, looks_of, one_of_each, seeds_of, value_of
from mfbench.protocols.texts import as_bytes_of, text_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[Any]
Shown = Sequence[tuple[Record, Kept]]

IMAGES = 4
SWEEP, ENDS = 9, (-0.5, 1.5)
"""Steps of a sweep, and where it begins and ends: 0 is the lowest value's place, 1 the highest's."""
MOST_METHODS = 8
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
            told.append(" + ".join(names[j] for j in several) + " (left out)" * (several[0] in out))
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
    figures = {"success": draw_success(shown)}
    pictures = [pair for pair in shown if "edits" in pair[1]][:MOST_METHODS]
    if pictures:
        figures |= {"edits": draw_edits(pictures), "sweeps": draw_sweeps(pictures)}
    return figures


def draw_success(shown: Shown) -> Figure:
    """A point an attribute: how often its edit succeeds, over how much of the others it keeps."""
    figure, ((ax,),) = style.new_figure(1, 1, panel=(5.4, 4.4))
    looks = looks_of(record for record, _ in shown)
    for record, kept in shown:
        look = {key: v for key, v in looks[record.label].items() if key in ("color", "marker", "fillstyle")}
        look |= {"marker": look.get("marker") or "."}
        ax.plot(kept["preserved"], kept["success"], linestyle="", label=record.label, **look)
    style.label(ax, x="other attributes preserved", y="success", legend=True)
    style.heading(figure, f"{seeds_of(r for r, _ in shown)}; a point an attribute")
    return figure


def draw_edits(shown: Shown) -> Figure:
    """A block a method, a row an image; below an edit whether the classifier saw what was asked for."""
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
        quality = value_of(record, "edit_quality")
        for place, (row, right) in enumerate(zip(kept["edits"], kept["edits_right"])):
            for ax, image in zip(axes[line], row):
                show(ax, mosaic(image[None], 1))
            for ax, good in zip(axes[line][2:], right):
                ax.set_xlabel("+" if good else "–", fontsize=6, labelpad=0)
            if place == 0:
                text = f"{in_lines(record.label)}\nquality {quality:.2f}"
                axes[line][0].set_ylabel(text, rotation=0, ha="right", va="center", fontsize=6)
            line += 1
    style.heading(figure, f"{seeds_of(r for r, _ in shown)}; + where the classifier sees the value asked for")
    return figure


def draw_sweeps(shown: Shown) -> Figure:
    """A panel a method: rows of attributes, each from before its lowest value to beyond its highest."""
    columns = min(2, len(shown))
    height, width = shown[0][1]["sweeps"].shape[-2:]
    lines = max(len(kept["sweeps"]) for _, kept in shown)
    panel = (4.4, max(1.2, 3.4 * lines * height / (SWEEP * width)) + 0.5)
    figure, axes = style.new_figure(-(-len(shown) // columns), columns, panel=panel)
    for ax in axes.flat:
        style.plain(ax)
    for ax, (record, kept) in zip(axes.flat, shown):
        images = kept["sweeps"]
        show(ax, mosaic(images.reshape(-1, *images.shape[2:]), SWEEP))
        full = height + max(1, height // 16)
        marks = [(row + 0.5) * full for row in range(len(images))]
        names = text_of(kept["sweep_names"]).replace(" + ", " +|").split("\n")
        ax.set_yticks(marks, [name.replace("|", "\n") for name in names], fontsize=5)
        ax.tick_params(length=0)
        style.label(ax, title=in_lines(record.label))
    low, high = ENDS
    style.heading(
        figure, f"{seeds_of(r for r, _ in shown)}; from {low:g} to {high:g}: 0 lowest, 1 highest value"
    )
    return figure
