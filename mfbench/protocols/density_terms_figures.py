"""Fig. 2 of Tu et al. 2023: histograms of the partial sums of a log-density's terms.

Kept arrays: `sum:<place>:<set>` (n,), place 0 the first term alone, the seen set under "in"; in the names
`term:<place>:<name>` the terms are told (empty arrays).
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mfbench.contracts import Record
from mfbench.protocols import style
from mfbench.protocols.ood_images import beside
from mfbench.protocols.showing import Kept, evenly, in_lines, one_of_each, seeds_of, shared_legend

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[Any]

DRAWN = 1000
"""Samples of a set that are kept."""
SHOWN = (1.0, 99.0)
"""Percentiles of all sets together between which is drawn."""
BEYOND = 4.0
BINS = 60
HEADING_LETTERS = 60
"""Of a line of the heading."""


def kept(
    seen_name: str, seen: Mapping[str, Array], unseen: Mapping[str, Mapping[str, Array]]
) -> dict[str, Array]:
    """Partial sums of every set, and the names of terms and sets, in order."""
    arrays: dict[str, Array] = {f"term:{place}:{term}": np.zeros(0) for place, term in enumerate(seen)}
    for name, terms in {"in": seen, **unseen}.items():
        for place, total in enumerate(np.cumsum(list(terms.values()), axis=0)):
            arrays[f"sum:{place}:{name}"] = total[evenly(len(total), DRAWN)].astype(np.float32)
    return arrays


def draw(records: Sequence[Record], arrays: Sequence[Kept]) -> dict[str, Figure]:
    """A figure a method with more than one term."""
    shown = [(record, kept) for record, kept in one_of_each(records, arrays) if len(_terms(kept)) > 1]
    return {f"terms_{number}": _figure(record, kept) for number, (record, kept) in enumerate(shown, 1)}


def _terms(kept: Kept) -> list[str]:
    """In the order of addition."""
    keys = sorted(key for key in kept if key.startswith("term:"))
    return [key.split(":", 2)[2] for key in keys]


def _sets(kept: Kept) -> list[str]:
    """The seen set first, whatever the order in which arrays were read."""
    names = [key.split(":", 2)[2] for key in kept if key.startswith("sum:0:")]
    return sorted(names, key=lambda name: name != "in")


def _figure(record: Record, kept: Kept) -> Figure:
    """Columns: log p(z), with the next term, ...; rows: the seen set, each other one, all."""
    terms = _terms(kept)
    names = _sets(kept)
    figure, axes = style.new_figure(len(names) + 1, len(terms), panel=(2.6, 1.1), sharex="col")
    for place, (column, term) in enumerate(zip(axes.T, terms)):
        sums = {name: kept[f"sum:{place}:{name}"].astype(np.float64) for name in names}
        bins = np.linspace(*_range(sums), BINS + 1)
        for row, ax in enumerate(column):
            for number, (name, values) in enumerate(sums.items()):
                if row in (number, len(names)):
                    _outline(ax, np.clip(values, bins[0], bins[-1]), bins, number, name)
            ax.set_yticks([])
        column[0].set_title(f"+ {term}" if place else term, fontsize=8)
        column[-1].set_xlabel("nats")
    for ax, name in zip(axes[:, 0], [f"{record.data}\n(seen)", *map(in_lines, names[1:]), "all"]):
        beside(ax, name)
    label = "\n".join(textwrap.wrap(record.label, HEADING_LETTERS))
    style.heading(figure, f"{label}\n{seeds_of([record])}; the outermost bins hold what lies beyond")
    shared_legend(figure, axes[-1], columns=4)
    return figure


def _range(sums: Mapping[str, Array]) -> tuple[float, float]:
    """Where most of all sets lies, but not further from the seen set than so many times its own width."""
    low, high = np.percentile(np.concatenate(list(sums.values())), SHOWN)
    first, last = np.percentile(sums["in"], SHOWN)
    beyond = BEYOND * max(last - first, 1e-6)
    return float(max(low, first - beyond)), float(min(high, last + beyond))


def _outline(ax: Any, values: Array, bins: Array, number: int, name: str) -> None:
    heights, _ = np.histogram(values, bins, density=True)
    if number == 0:
        ax.stairs(heights, bins, fill=True, color="0.8", label="seen")
        return
    line = style.series_style(number - 1)
    ax.stairs(heights, bins, label=name, linewidth=1.4, color=line["color"], linestyle=line["linestyle"])
