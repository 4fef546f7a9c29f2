"""The figure of `density_accuracy`, and what a measurement keeps for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mfbench.contracts import Record
from mfbench.protocols import style
from mfbench.protocols.showing import Kept, evenly, in_lines, one_of_each, seeds_of, value_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[Any]

DRAWN = 2000


def kept(said: Array, truth: Array) -> dict[str, Array]:
    """Some pairs of log-densities, evenly spaced over the split."""
    some = evenly(len(said), DRAWN)
    return {"said": said[some].astype(np.float32), "truth": truth[some].astype(np.float32)}


def draw(records: Sequence[Record], arrays: Sequence[Kept]) -> dict[str, Figure]:
    """One panel a method: its log-density against the true one, with the line where they agree."""
    shown = one_of_each(records, arrays)
    if not shown:
        return {}
    columns = min(4, len(shown))
    figure, axes = style.new_figure(-(-len(shown) // columns), columns, panel=(2.4, 2.6))
    truth = np.concatenate([kept["truth"] for _, kept in shown])
    low, high = np.percentile(truth[np.isfinite(truth)], (0.1, 99.9))
    reach = (float(low) - 0.3 * float(high - low), float(high) + 0.3 * float(high - low))
    for ax, (record, kept) in zip(axes.flat, shown):
        ax.plot(reach, reach, color="0.6", linewidth=0.8)
        said = np.clip(kept["said"], *reach)
        ax.scatter(kept["truth"], said, s=3, color=style.PALETTE[0], alpha=0.4, linewidths=0, rasterized=True)
        ax.set(xlim=reach, ylim=reach)
        ax.set_box_aspect(1)
        title = f"{in_lines(record.label)}\nrms {value_of(record, 'rms_error'):.2g} nats"
        style.label(ax, title=title, x="true log-density (nats)")
    for row in axes:
        row[0].set_ylabel("log-density (nats)")
    for ax in axes.flat[len(shown) :]:
        ax.set_axis_off()
    style.heading(figure, seeds_of(record for record, _ in shown))
    return {"density": figure}
