"""The figure of `intrinsic_dimension`, and what a measurement keeps for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mfbench.contracts import Record
from mfbench.protocols import style
from mfbench.protocols.showing import (
    Kept,
    evenly,
    in_lines,
    one_of_each,
    seeds_of,
    shared_legend,
    value_of,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[Any]

KEPT = 2000
BINS = 40


def kept(said: Array, truth: Array) -> dict[str, Array]:
    """Some pairs of dimensions, evenly spaced over the split."""
    some = evenly(len(said), KEPT)
    return {"said": said[some].astype(np.float32), "truth": truth[some].astype(np.float32)}


def draw(records: Sequence[Record], arrays: Sequence[Kept]) -> dict[str, Figure]:
    """One panel a method: histograms of its estimates, one a true dimension, with lines at the truth."""
    shown = one_of_each(records, arrays)
    if not shown:
        return {}
    columns = min(3, len(shown))
    figure, axes = style.new_figure(-(-len(shown) // columns), columns, panel=(3.0, 2.5), sharex=True)
    bins = np.linspace(*reach([kept for _, kept in shown]), BINS + 1)
    for ax, (record, kept) in zip(axes.flat, shown):
        _histograms(ax, kept, bins)
        title = f"{in_lines(record.label)}\nmean absolute error {value_of(record, 'absolute_error'):.2g}"
        style.label(ax, title=title, x="estimated dimension")
        ax.xaxis.set_tick_params(labelbottom=True)
    for row in axes:
        row[0].set_ylabel("share of points")
    for ax in axes.flat[len(shown) :]:
        ax.set_axis_off()
    shared_legend(figure, axes.flat, columns=4, title="true dimension (dashed line)")
    style.heading(figure, seeds_of(record for record, _ in shown))
    return {"dimension": figure}


def reach(shown: Sequence[Kept]) -> tuple[float, float]:
    """What the axis spans: all truths, and of the estimates what is not absurdly far from them.

    Estimates beyond it are drawn in the outermost bins.
    """
    truth = np.concatenate([kept["truth"] for kept in shown])
    lowest, highest = float(truth.min()), float(truth.max())
    said = [np.clip(kept["said"], lowest - 2 * highest, 3 * highest) for kept in shown]
    ends = np.array([np.percentile(each, (0.5, 99.5)) for each in said])
    return min(float(ends.min()), lowest) - 0.5, max(float(ends.max()), highest) + 0.5


def _histograms(ax: Axes, kept: Kept, bins: Array) -> None:
    said = np.clip(kept["said"], bins[0], bins[-1])
    for place, dimension in enumerate(np.unique(kept["truth"])):
        some = said[kept["truth"] == dimension]
        look = style.area_style(place)
        shares = np.full(len(some), 1 / len(some))
        ax.hist(some, bins.tolist(), weights=shares, label=f"{dimension:g}", **look)
        ax.axvline(dimension, color=look["facecolor"], linestyle="--", linewidth=1.2)
