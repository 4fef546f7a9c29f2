"""The figures of `disentanglement`: codes on their grid, information of codes about factors, traversals.

Kept arrays: `points` (m, 2), codes on two dimensions `axes`, with the values (m, 2) of the two factors
`shown` that these tell most of; `lines:0`, `lines:1`, where the message changes along them; `information`
(d, k); `names`, the factors' names as text; and of traversals see `traversals.kept`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mfbench.contracts import Dataset, Disentangler, Record
from mfbench.protocols import style, traversals
from mfbench.protocols.disentanglement_measures import Told, information_table
from mfbench.protocols.showing import Kept, evenly, in_lines, one_of_each, seeds_of, value_of
from mfbench.protocols.texts import as_bytes_of, text_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[Any]
Shown = Sequence[tuple[Record, Kept]]

KEPT = 1200
MOST_METHODS = 10
"""Rows of a figure; on a board with more methods the last ones are left out."""


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
    shown = [pair for pair in one_of_each(records, arrays) if "points" in pair[1]][:MOST_METHODS]
    if not shown:
        return {}
    figures = {"codes": draw_codes(shown), "information": draw_information(shown)}
    if any("traversal" in kept for _, kept in shown):
        figures["traversals"] = traversals.draw([pair for pair in shown if "traversal" in pair[1]])
    return figures


def draw_codes(shown: Shown) -> Figure:
    """A row a method: its two most telling dimensions, coloured by either factor; lines where symbols end."""
    figure, axes = style.new_figure(len(shown), 2, panel=(3.3, 3.0))
    for line, (record, kept) in zip(axes, shown):
        names = text_of(kept["names"]).split("\n")
        for column, ax in enumerate(line):
            _scatter(ax, kept, column)
            ax.set_title(names[int(kept["shown"][column])], fontsize=8)
        first, second = (int(axis) for axis in kept["axes"])
        mig = value_of(record, "mig")
        line[0].set_ylabel(f"{in_lines(record.label)}\nMIG {mig:.2f}\ndimension {second}", fontsize=8)
        for ax in line:
            ax.set_xlabel(f"dimension {first}", fontsize=8)
    style.heading(figure, f"{seeds_of(r for r, _ in shown)}; held-out images; lines: where symbols change")
    return figure


def _scatter(ax: Axes, kept: Kept, column: int) -> None:
    known, values = np.unique(kept["values"][:, column], return_inverse=True)
    values = values.ravel()
    several = values.max() >= len(style.PALETTE)
    look: dict[str, Any] = {"s": 4, "linewidths": 0, "alpha": 0.7, "rasterized": True}
    look |= {"cmap": "viridis"} if several else {}
    x, y = kept["points"].T
    ax.scatter(x, y, c=values if several else [style.PALETTE[value] for value in values], **look)
    if not several:
        for value, colour in zip(known, style.PALETTE):
            ax.plot([], [], ".", color=colour, label=str(value))
        ax.legend(fontsize=5, frameon=False, loc="upper left", handletextpad=0, borderpad=0)
    _inside(ax, kept["points"])
    for place, line in enumerate((ax.axvline, ax.axhline)):
        for border in kept[f"lines:{place}"][:60]:
            line(float(border), color="0.35", linewidth=0.6)
    ax.grid(visible=False)


def _inside(ax: Axes, points: Array) -> None:
    """Axes that a few far codes do not stretch."""
    low, high = np.percentile(points, (0.5, 99.5), axis=0)
    margin = 0.15 * np.maximum(high - low, 1e-3)
    ax.set_xlim(low[0] - margin[0], high[0] + margin[0])
    ax.set_ylim(low[1] - margin[1], high[1] + margin[1])


def draw_information(shown: Shown) -> Figure:
    """How much of each factor's entropy each dimension tells: rows of a perfect code have one dark cell."""
    columns = min(3, len(shown))
    rows = -(-len(shown) // columns)
    figure, axes = style.new_figure(rows, columns, panel=(3.4, 3.2))
    for ax in axes.flat[len(shown) :]:
        ax.set_axis_off()
    for ax, (record, kept) in zip(axes.flat, shown):
        names = text_of(kept["names"]).split("\n")
        image = ax.imshow(kept["information"].T, cmap="Greys", vmin=0, vmax=1, aspect="auto")
        ax.set_yticks(range(len(names)), names, fontsize=6)
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.grid(visible=False)
        style.label(ax, title=in_lines(record.label), x="dimension")
    figure.colorbar(image, ax=axes, fraction=0.03)
    style.heading(figure, f"{seeds_of(r for r, _ in shown)}; I(code; factor) / H(factor)")
    return figure
