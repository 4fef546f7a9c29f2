"""The figures of `disentanglement`: codes on their grid, information of codes about factors, traversals.

Kept arrays: `points` (m, 2), codes on two dimensions `axes`, with the values (m, 2) of the two factors
`shown` that these tell most of; `lines:0`, `lines:1`, where the message changes along them; `information`
(d, k); `names`, the factors' names as text; and of traversals see `traversals.kept`.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mfbench.contracts import Dataset, Disentangler, Record
from mfbench.protocols import style, traversals
from mfbench.protocols.disentanglement_measures import Told, information_table
from mfbench.protocols.rows_shown import TITLE_SIZE, Rows, choose
from mfbench.protocols.showing import Kept, evenly, one_of_each, value_of
from mfbench.protocols.texts import as_bytes_of, text_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[Any]

KEPT = 1200
MOST_METHODS = 15
"""Rows of a figure; it names those that it leaves out."""
LETTERS = 46
"""Of a line of a title above two panels."""
SHARED = 4
"""Images that have a code in common, on average, from which on codes are drawn spread."""
SPREAD = "codes that many images share are spread within their cell"


def kept(
    method: Disentangler, told: Told, names: tuple[str, ...], data: Dataset, codes: Tensor
) -> dict[str, Array]:
    """What the figures need of one measurement; `codes` are those of `told`, as the method gave them."""
    information = information_table(told.codes, told.factors)
    axes, shown = best_axes(information)
    some = evenly(len(told.codes), KEPT)
    arrays: dict[str, Array] = {
        "points": told.codes[some][:, axes].astype(np.float32),
        "values": told.factors[some][:, shown].astype(np.int16),
        "axes": np.array(axes, dtype=np.int16),
        "shown": np.array(shown, dtype=np.int16),
        "information": information.astype(np.float32),
        "names": as_bytes_of("\n".join(names)),
    }
    for place, axis in enumerate(axes):
        arrays[f"lines:{place}"] = borders(told.codes[:, axis], told.message, axis).astype(np.float32)
    return arrays | traversals.kept(method, told, traversals.most_telling(information), codes, data.shape)


def best_axes(information: Array) -> tuple[list[int], list[int]]:
    """Two dimensions, and the factor that each tells most of: others where it can be, best first."""
    table = information.copy()
    axes, shown = [], []
    for _ in range(2):
        axis, factor = np.unravel_index(np.argmax(table), table.shape)
        axes.append(int(axis))
        shown.append(int(factor))
        table[axis] = -1
        if table.shape[1] > 1:
            table[:, factor] = np.where(table[:, factor] < 0, -1, table[:, factor] - 1)
    order = np.argsort(shown, kind="stable")
    return [axes[i] for i in order], [shown[i] for i in order]


def borders(codes: Array, message: Array, axis: int) -> Array:
    """Where the symbol changes along a dimension, halfway between neighbouring codes; empty without one."""
    if axis >= message.shape[1]:
        return np.empty(0)
    symbols = message[:, axis]
    ends = [(codes[symbols == s].min(), codes[symbols == s].max()) for s in np.unique(symbols)]
    ends.sort()
    return np.array([(high + low) / 2 for (_, high), (low, _) in pairwise(ends)])


def draw(records: Sequence[Record], arrays: Sequence[Kept]) -> dict[str, Figure]:
    """Scatter with grid lines, table of information, traversals."""
    told = [pair for pair in one_of_each(records, arrays) if "points" in pair[1]]
    if not told:
        return {}
    rows = choose(told, MOST_METHODS, _mig)
    figures = {"codes": draw_codes(rows), "information": draw_information(rows)}
    moved = [pair for pair in told if "traversal" in pair[1]]
    if moved:
        figures["traversals"] = traversals.draw(choose(moved, MOST_METHODS, _mig))
    return figures


def _mig(record: Record) -> float:
    return value_of(record, "mig")


def draw_codes(rows: Rows) -> Figure:
    """Two panels a method: its two most telling dimensions by either factor; lines where symbols end."""
    shown = rows.shown
    columns = min(3, len(shown))
    figure, axes = style.new_figure(-(-len(shown) // columns), 2 * columns, panel=(1.75, 1.95))
    for ax in axes.flat[2 * len(shown) :]:
        ax.set_axis_off()
    told = "held-out images; lines: where symbols change"
    for pair, (record, kept) in zip(axes.reshape(-1, 2), shown):
        names = text_of(kept["names"]).split("\n")
        points = spread(kept["points"])
        if SPREAD not in told and (points != kept["points"]).any():
            told += f"; {SPREAD}"
        for column, ax in enumerate(pair):
            _scatter(ax, kept, points, column)
            ax.set_title(names[int(kept["shown"][column])], fontsize=7, loc="left")
            ax.set_xlabel(f"dimension {int(kept['axes'][0])}", fontsize=7, labelpad=1)
            ax.tick_params(labelsize=6)
        pair[0].set_ylabel(f"dimension {int(kept['axes'][1])}", fontsize=7, labelpad=1)
        pair[1].tick_params(labelleft=False)
        _title(pair[0], f"{rows.names[record.label]}, MIG {_mig(record):.2f}")
    rows.head(figure, told)
    return figure


def _title(ax: Axes, text: str) -> None:
    """Above a panel and its right neighbour, as wide as both."""
    lines = textwrap.wrap(text, LETTERS)
    above = ax.annotate(
        "\n".join(lines), (0, 1), (0, 14), "axes fraction", "offset points", fontsize=TITLE_SIZE, va="bottom"
    )
    above.set_in_layout(False)  # its width is not the panel's; the title's empty lines keep its height free
    ax.set_title("\n" * (len(lines) + 1) + ax.get_title(loc="left"), fontsize=7, loc="left")


def spread(points: Array) -> Array:
    """Codes (n, 2), along each dimension that has few different ones moved at random within their cell.

    Codes that lie exactly on one another would show the last image's colour alone. Always the same draws.
    """
    rng = np.random.default_rng(0)
    return np.stack([_spread(column, rng) for column in points.T], axis=1)


def _spread(codes: Array, rng: np.random.Generator) -> Array:
    """By at most a third of the way to the next code, (n,)."""
    levels, places, counts = np.unique(codes, return_inverse=True, return_counts=True)
    moved = rng.uniform(-1 / 3, 1 / 3, len(codes))
    if counts.mean() < SHARED:
        return codes
    gaps = np.diff(levels) if len(levels) > 1 else np.ones(1)
    nearest = np.minimum(np.append(gaps, np.inf), np.insert(gaps, 0, np.inf))[: len(levels)]
    return np.asarray(codes + moved * nearest[places.ravel()])


def _scatter(ax: Axes, kept: Kept, points: Array, column: int) -> None:
    known, values = np.unique(kept["values"][:, column], return_inverse=True)
    values = values.ravel()
    several = values.max() >= len(style.PALETTE)
    look: dict[str, Any] = {"s": 3, "linewidths": 0, "alpha": 0.7, "rasterized": True}
    look |= {"cmap": "viridis"} if several else {}
    x, y = points.T
    ax.scatter(x, y, c=values if several else [style.PALETTE[value] for value in values], **look)
    _name_values(ax, known, several)
    _inside(ax, points)
    for place, line in enumerate((ax.axvline, ax.axhline)):
        for border in kept[f"lines:{place}"][:60]:
            line(float(border), color="0.35", linewidth=0.4)
    ax.grid(visible=False)


def _name_values(ax: Axes, known: Array, several: bool) -> None:
    """Above the panel on the right: the values in their colours; of many the first and the last."""
    if several:
        from matplotlib import colormaps

        ends = colormaps["viridis"]([0.0, 1.0])
        entries = [(f"{known[0]} to", ends[0]), (f"{known[-1]}", ends[1])]
    else:
        entries = [(str(value), colour) for value, colour in zip(known, style.PALETTE)]
    for text, colour in entries:
        ax.plot([], [], ".", color=colour, label=text, markersize=4)
    look: dict[str, Any] = {"handletextpad": 0.2, "borderpad": 0, "columnspacing": 0.5, "handlelength": 0.6}
    legend = ax.legend(
        fontsize=5, frameon=False, loc="lower right", bbox_to_anchor=(1.03, 1.0), ncols=len(entries), **look
    )
    legend.set_in_layout(False)


def _inside(ax: Axes, points: Array) -> None:
    """Axes that a few far codes do not stretch."""
    low, high = np.percentile(points, (0.5, 99.5), axis=0)
    margin = 0.15 * np.maximum(high - low, 1e-3)
    ax.set_xlim(low[0] - margin[0], high[0] + margin[0])
    ax.set_ylim(low[1] - margin[1], high[1] + margin[1])


def draw_information(rows: Rows) -> Figure:
    """How much of each factor's entropy each dimension tells: rows of a perfect code have one dark cell."""
    shown = rows.shown
    figure, axes = rows.panels(
        min(4, len(shown)), 2.7, lambda kept: 0.5 + max(1.2, 0.11 * kept["information"].shape[1])
    )
    for ax in axes.flat[len(shown) :]:
        ax.set_axis_off()
    for ax, (record, kept) in zip(axes.flat, shown):
        names = text_of(kept["names"]).split("\n")
        image = ax.imshow(kept["information"].T, cmap="Greys", vmin=0, vmax=1, aspect="auto")
        ax.set_yticks(range(len(names)), names, fontsize=6)
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.tick_params(axis="x", labelsize=6)
        ax.grid(visible=False)
        ax.set_title(rows.title(record), fontsize=TITLE_SIZE)
        ax.set_xlabel("dimension", fontsize=7)
    figure.colorbar(image, ax=axes, fraction=0.03).ax.tick_params(labelsize=6)
    rows.head(figure, "I(code; factor) / H(factor)")
    return figure
