"""Pictures of attacks and purification (Tu et al. 2023, Fig. 16 and 17), ways through feature space, curves.

Kept arrays: `shown_<stage>` bytes (k, c, h, w), for the stages clean, attacked and purified,
`shown_<stage>_reconstruction` where there is one, `said_<stage>` and `shown_labels` (k,); `background`
(n, 2), `trajectory` (3, m, 2) and `trajectory_labels` (m,); `curve_steps` and `curve_accuracy`.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mfbench.contracts import Record
from mfbench.protocols import style
from mfbench.protocols.robust_semantics import STAGES
from mfbench.protocols.sample_image_figures import mosaic, show
from mfbench.protocols.showing import (
    LEGEND_LINE,
    Kept,
    in_lines,
    looks_of,
    one_of_each,
    seeds_of,
    shared_legend,
    value_of,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[Any]
Shown = Sequence[tuple[Record, Kept]]

RIGHT, WRONG = "#006644", "#B00020"
"""Green and red of labels; a cross before the wrong ones tells them apart in grey."""
PANELS = 9
"""Most panels of ways through feature space."""
LEGEND_TEXT = 84
"""Letters of a line of a heading, and of the legend under the curves."""


def draw(records: Sequence[Record], arrays: Sequence[Kept]) -> dict[str, Figure]:
    """A figure of images a method, and one each of ways and of curves of all methods."""
    shown = one_of_each(records, arrays)
    figures: dict[str, Figure] = {}
    for record, kept in shown:
        if len(kept.get("shown_labels", ())):
            figures[_distinct(f"images_{_slug(record.label)}", figures)] = draw_images(record, kept)
    traced = [pair for pair in shown if "trajectory" in pair[1]]
    if traced:
        figures["trajectories"] = draw_trajectories(traced[:PANELS])
    curved = [pair for pair in shown if "curve_steps" in pair[1]]
    if curved:
        figures["accuracy_over_steps"] = draw_curves(curved)
    return figures


def draw_images(record: Record, kept: Kept) -> Figure:
    """Clean, attacked and purified images, each row above its reconstructions, with what is said of them."""
    rows = [
        (f"{stage}{ending}", name)
        for stage in STAGES
        for ending, name in (("", stage), ("_reconstruction", "through\nits code"))
        if f"shown_{stage}{ending}" in kept
    ]
    count = len(kept["shown_labels"])
    figure, axes = style.new_figure(len(rows), count, panel=(0.85, 0.98))
    for line, (key, name) in zip(axes, rows):
        for place, (ax, image) in enumerate(zip(line, kept[f"shown_{key}"])):
            style.plain(ax)
            show(ax, mosaic(image[None], 1))
            if f"said_{key}" in kept:
                _say(ax, int(kept[f"said_{key}"][place]), int(kept["shown_labels"][place]))
        line[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=8)
    worst = value_of(record, "worst_case_accuracy")
    said = "not ranked" if np.isnan(worst) else f"worst case {worst:.2f}"
    clean = value_of(record, "clean_accuracy")
    lines = [*_wrapped(record.label), f"clean {clean:.2f}, {said}; seed {record.seed}"]
    style.heading(figure, "\n".join(lines))
    _grow(figure, LEGEND_LINE * len(lines))
    return figure


def _wrapped(label: str) -> list[str]:
    """Lines as long as a figure is wide."""
    return textwrap.wrap(label, LEGEND_TEXT, subsequent_indent="    ")


def _grow(figure: Figure, inches: float) -> None:
    """Room for text above or below the panels, which keep their size."""
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, height + inches)


def _say(ax: Axes, said: int, label: int) -> None:
    right = said == label
    ax.set_xlabel(
        f"{said}" if right else f"✗ {said}", color=RIGHT if right else WRONG, fontsize=8, labelpad=1
    )


def draw_trajectories(shown: Shown) -> Figure:
    """From clean to attacked to purified, in the plane in which clean images vary most."""
    columns = min(3, len(shown))
    figure, axes = style.new_figure(-(-len(shown) // columns), columns, panel=(3.2, 3.0))
    for ax in axes.flat[len(shown) :]:
        ax.set_axis_off()
    for ax, (record, kept) in zip(axes.flat, shown):
        _ways(ax, kept)
        style.label(ax, x="first direction", y="second")
        ax.set_title(in_lines(record.label), fontsize=8)
    longest = max(in_lines(record.label).count("\n") for record, _ in shown)
    _grow(figure, LEGEND_LINE * longest * len(axes))
    shared_legend(figure, axes.flat, columns=4)
    style.heading(figure, f"features, by transfer attack; {seeds_of(record for record, _ in shown)}")
    return figure


def _ways(ax: Axes, kept: Kept) -> None:
    across, up = kept["background"].T
    ax.scatter(across, up, s=3, color="0.8", label="all clean images", linewidths=0)
    clean, attacked, pure = kept["trajectory"]
    for there, back in zip(np.stack([clean, attacked], 1), np.stack([attacked, pure], 1)):
        ax.plot(*there.T, color=style.PALETTE[4], linewidth=0.6, alpha=0.7)
        ax.plot(*back.T, color=style.PALETTE[0], linewidth=0.6, linestyle="--", alpha=0.7)
    drawn = [(clean, "o", 6, "clean"), (attacked, "x", 4, "attacked")]
    if not np.array_equal(attacked, pure):
        drawn.append((pure, "^", 0, "purified"))
    for places, marker, place, name in drawn:
        across, up = places.T
        ax.scatter(across, up, s=12, marker=marker, color=style.PALETTE[place], label=name, linewidths=0.8)


def draw_curves(shown: Shown) -> Figure:
    """Accuracy under the probing attack against its iterations."""
    figure, axes = style.new_figure(panel=(6.0, 3.4))
    looks = looks_of(record for record, _ in shown)
    more = 0  # lines, beyond one for each label
    for record, kept in shown:
        lines = _wrapped(record.label)
        more += len(lines) - 1
        axes[0, 0].plot(
            kept["curve_steps"], kept["curve_accuracy"], label="\n".join(lines), **looks[record.label]
        )
    steps = sorted({int(step) for _, kept in shown for step in kept["curve_steps"]})
    axes[0, 0].set_xscale("symlog", linthresh=1)
    axes[0, 0].set_xticks(steps, labels=[str(step) for step in steps], minor=False)
    axes[0, 0].minorticks_off()
    axes[0, 0].set_ylim(-0.03, 1.03)
    style.label(axes[0, 0], x="iterations of the probing attack", y="accuracy")
    shared_legend(figure, axes.flat, columns=1)
    _grow(figure, LEGEND_LINE * more)
    style.heading(figure, seeds_of(record for record, _ in shown))
    return figure


def _slug(label: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "_", label).strip("_")[:60]


def _distinct(name: str, taken: dict[str, Figure]) -> str:
    count = 2
    unique = name
    while unique in taken:
        unique, count = f"{name}_{count}", count + 1
    return unique
