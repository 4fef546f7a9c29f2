"""The figure of `attribute_structure` (Tu et al. 2023, Fig. 15), and what it shows in words.

Kept arrays, (k,) each: `p`, `q`, `kl`, `kl_low`, `kl_high`, `null_high` (97.5 % of shuffled attributes),
`information`, `information_low`, `information_high`; and the text `names`.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mfbench.contracts import Record
from mfbench.protocols import style
from mfbench.protocols.rows_shown import choose
from mfbench.protocols.showing import Kept, one_of_each
from mfbench.protocols.structure_statistics import Dependence
from mfbench.protocols.texts import as_bytes_of, text_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[Any]

MOST_METHODS = 5
LETTERS = 120
"""Of a line of a method's name: it has the width of the figure."""
TITLES = ("A: p(a), p(a | a_nn = 0)", "B: KL (nats)", "C: I(a; a_nn) / H(a)")
SHUFFLES = "97.5 % of shuffles"
SETTINGS = {
    False: ("structure", "neighbours of all"),
    True: ("structure-others", "neighbours of other people"),
}
"""By whether identities are excluded: the figure's name, and whose neighbours it is about."""
NAMED = 3
"""Attributes that are named in a finding."""


def kept(names: tuple[str, ...], found: Dependence, drawn: Dependence, null: Array) -> dict[str, Array]:
    """What the figure needs."""
    low_kl, high_kl = np.quantile(drawn.kl, (0.025, 0.975), axis=0)
    low, high = np.quantile(drawn.information, (0.025, 0.975), axis=0)
    return {
        "p": found.p,
        "q": found.q,
        "kl": found.kl,
        "kl_low": np.minimum(low_kl, found.kl),
        "kl_high": np.maximum(high_kl, found.kl),
        "null_high": np.quantile(null, 0.975, axis=0),
        "information": found.information,
        "information_low": np.minimum(low, found.information),
        "information_high": np.maximum(high, found.information),
        "names": as_bytes_of("\n".join(names)),
    }


def draw(records: Sequence[Record], arrays: Sequence[Kept]) -> dict[str, Figure]:
    """A row an embedding: (A) p(a) and p(a | a_nn = 0), (B) divergence, (C) information.

    Neighbours that may be of the same person and neighbours of other people have a figure each.
    """
    figures: dict[str, Figure] = {}
    for excluded, (name, whose) in SETTINGS.items():
        pairs = [pair for pair in zip(records, arrays) if _excludes(pair[0]) == excluded]
        if pairs:
            figures |= _draw(name, whose, *zip(*pairs))
    return figures


def _excludes(record: Record) -> bool:
    """Whether neighbours are of other people."""
    return bool(record.protocol_parameters.get("exclude_identity", False))


def _draw(name: str, whose: str, records: Sequence[Record], arrays: Sequence[Kept]) -> dict[str, Figure]:
    told = [pair for pair in one_of_each(records, arrays) if "kl" in pair[1]]
    if not told:
        return {}
    rows = choose(told, MOST_METHODS)
    shown = rows.shown
    most = max(len(kept["kl"]) for _, kept in shown)
    figure, axes = style.new_figure(len(shown), 3, panel=(3.0, 1.1 + 0.17 * most))
    for line, (record, kept) in zip(axes, shown):
        order = np.argsort(kept["kl"], kind="stable")
        _shares(line[0], kept, order)
        _intervals(line[1], kept, "kl", order)
        line[1].plot(kept["null_high"][order], range(len(order)), "|", color="0.4", label=SHUFFLES)
        _intervals(line[2], kept, "information", order)
        _rows(line, np.array(text_of(kept["names"]).split("\n"))[order])
        _titles(line, textwrap.wrap(record.label, LETTERS))
    entries = [ax.get_legend_handles_labels() for ax in axes[0][:2]]
    handles, labels = ([*first, *second] for first, second in zip(*entries))
    figure.legend(handles, labels, fontsize=7, frameon=False, ncols=3, loc="outside lower center")
    rows.head(figure, f"held-out images, {whose}, attributes by divergence")
    return {name: figure}


def _titles(line: Sequence[Axes], label: list[str]) -> None:
    """The panels' titles, and above the first the method's label, which may run on above the others."""
    for ax, title in zip(line, TITLES):
        ax.set_title("\n" * len(label) + title, fontsize=8, loc="left")
    above = line[0].annotate(
        "\n".join(label), (0, 1), (0, 15), "axes fraction", "offset points", fontsize=8, va="bottom"
    )
    above.set_in_layout(False)  # its width is not the panel's; the titles' empty lines keep its height free


def _rows(line: Sequence[Axes], names: Array) -> None:
    """The same rows in all panels of a line, named on the left."""
    for ax in line:
        ax.set_yticks(range(len(names)), [""] * len(names))
        ax.set_ylim(-0.6, len(names) - 0.4)
    line[0].set_yticks(range(len(names)), names, fontsize=6)


def _shares(ax: Axes, kept: Kept, order: Array) -> None:
    rows = np.arange(len(order))
    ax.barh(rows + 0.2, kept["p"][order], 0.38, label="p(a)", **style.area_style(0))
    ax.barh(rows - 0.2, kept["q"][order], 0.38, label="p(a | a_nn = 0)", **style.area_style(1))
    ax.set_xlim(0, 1)


def _intervals(ax: Axes, kept: Kept, name: str, order: Array) -> None:
    value = kept[name][order]
    ends = np.stack([value - kept[f"{name}_low"][order], kept[f"{name}_high"][order] - value])
    ax.errorbar(
        value, range(len(order)), xerr=ends, fmt="o", color=style.PALETTE[0], markersize=3, linewidth=1
    )
    ax.set_xlim(left=0)


def findings(records: Sequence[Record]) -> list[str]:
    """Of every embedding the attributes of largest divergence and of most information, means over seeds."""
    found = []
    for label, excluded in dict.fromkeys((r.label, _excludes(r)) for r in records if r.role != "ceiling"):
        mine = [record for record in records if (record.label, _excludes(record)) == (label, excluded)]
        by_kl, by_information = _ranking(mine, "kl"), _ranking(mine, "information")
        if by_kl:
            whose = "neighbours of other people" if excluded else "neighbours"
            found.append(
                f"{label}: {whose} follow {_listed(by_kl)} most by divergence (nats), "
                f"{_listed(by_information)} by information."
            )
    return found


def _ranking(records: Sequence[Record], metric: str) -> list[tuple[str, float]]:
    """Attributes and their mean value, the largest first."""
    values: dict[str, list[float]] = {}
    for record in records:
        for value in record.values:
            if value.metric == metric and value.part:
                values.setdefault(value.part, []).append(value.value)
    return sorted(((name, float(np.mean(each))) for name, each in values.items()), key=lambda pair: -pair[1])


def _listed(ranking: Sequence[tuple[str, float]]) -> str:
    return ", ".join(f"{name} ({value:.2g})" for name, value in ranking[:NAMED])
