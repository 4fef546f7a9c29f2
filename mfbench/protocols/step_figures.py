"""The figures of `step_consistency`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mfbench.contracts import Record
from mfbench.protocols import style
from mfbench.protocols.orders import asymptotic_order, local_orders
from mfbench.protocols.showing import Kept, looks_of, one_of_each, seeds_of, shared_legend, value_of
from mfbench.protocols.step_findings import TARGET, costs_of, error_by_cost, generator_of
from mfbench.protocols.step_psnr import draw_psnr
from mfbench.protocols.step_samples import draw_samples, step_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[Any]


def draw(records: Sequence[Record], arrays: Sequence[Kept]) -> dict[str, Figure]:
    """Sample grids over h, and error curves (of images also PSNR), for each generator among the records."""
    figures: dict[str, Figure] = {}
    groups: dict[str, list[tuple[Record, Kept]]] = defaultdict(list)
    for record, kept in zip(records, arrays):
        groups[generator_of(record)].append((record, kept))
    for name, pairs in groups.items():
        ending = f"_{name}" if len(groups) > 1 else ""
        of_group = [record for record, _ in pairs]
        shown = one_of_each(of_group, [kept for _, kept in pairs])
        if shown:
            figures[f"samples{ending}"] = draw_samples(shown)
        figures[f"error{ending}"] = draw_errors(of_group)
        if any(np.isfinite(value_of(record, "rms_distance")) for record in of_group):
            figures[f"accuracy{ending}"] = draw_accuracy(of_group)
        if any(np.isfinite(value_of(r, "psnr")) for r in of_group if r.role == "method"):
            figures[f"psnr{ending}"] = draw_psnr(of_group)
    return figures


def draw_errors(records: Sequence[Record]) -> Figure:
    """Distance to the exact solution over h and over evaluations, and energy distance to data."""
    figure, (line,) = style.new_figure(1, 3, panel=(3.3, 3.4))
    for label, look in looks_of(records).items():
        rows = [record for record in records if record.label == label]
        images = any(np.isfinite(value_of(record, "psnr")) for record in rows)
        _error_lines(line, label, _over_seeds(rows), look, images)
    floors = [floor for record in records if np.isfinite(floor := value_of(record, "energy_floor"))]
    if floors:
        line[2].axhline(float(np.mean(floors)), color="0.5", linewidth=0.8, label="held-out data")
    for ax in line:
        ax.set_xscale("log")
    for ax in line[:2]:
        ax.set_yscale("log")
    line[2].set_yscale("symlog", linthresh=1e-3)  # an unbiased distance may be below 0
    style.label(line[0], title="equal steps", x="h (1/T)", y="distance to the exact solution\n(data units)")
    style.label(line[1], title="equal cost", x="network evaluations a sample")
    style.label(
        line[2], title="quality", x="network evaluations a sample", y="energy distance to data\n(data units)"
    )
    style.heading(figure, _means_over(records))
    shared_legend(figure, line, columns=3)
    return figure


def _means_over(records: Sequence[Record]) -> str:
    seeds = seeds_of(records)
    return f"means over {seeds}" if seeds.startswith("seeds") else seeds


def _over_seeds(records: Sequence[Record]) -> Array:
    """Rows (h, NFE, distance, energy distance), means over seeds, by rising h; NaN: no value."""
    table = [
        (
            step_of(r),
            np.nan if r.nfe is None else r.nfe,
            value_of(r, "distance"),
            value_of(r, "energy_distance"),
        )
        for r in records
    ]
    values = np.array(table, dtype=float)
    return np.array([values[values[:, 0] == step].mean(axis=0) for step in np.unique(values[:, 0])])


def _error_lines(line: Sequence[Axes], label: str, rows: Array, look: dict[str, Any], images: bool) -> None:
    step, nfe, distance, energy = rows.T
    shown = np.isfinite(distance) & (distance > 0)
    if shown.any():
        order = asymptotic_order(list(step), list(distance))
        said = str(order) if order else _local_orders(step, distance) if images else ""
        text = f"{label}: {said}" if said else label
        line[0].plot(step[shown], distance[shown], **look)
        line[1].plot(nfe[shown], distance[shown], **look)
    else:
        text = label
    adaptive = len(np.unique(nfe)) == 1
    line[2].plot(nfe, energy, **(look | {"marker": "*"} if adaptive else look), label=text)


def _local_orders(step: Array, distance: Array) -> str:
    """Where no power law holds, as where a network is what limits the error: both ends of the curve."""
    orders = local_orders(list(step), list(distance))
    return "local " + ", ".join(map(str, [*orders[:1], *orders[1:][-1:]])) if orders else ""


def draw_accuracy(records: Sequence[Record]) -> Figure:
    """Rms error over evaluations, with the target; the sampler that reaches it first is named."""
    figure, ((ax,),) = style.new_figure(1, 1, panel=(6.4, 4.6))
    methods = [record for record in records if record.role == "method"]
    for label, look in looks_of(methods).items():
        curve = error_by_cost([record for record in methods if record.label == label])
        if curve:
            ax.plot(*zip(*curve), **look, label=label)
    ax.axhline(TARGET, color="0.5", linewidth=0.8)
    costs = costs_of(records)
    if costs:
        first = costs[0]
        ax.axvline(first.nfe, color="0.5", linewidth=0.8, linestyle=":")
    title = (
        f"{first.label}: {first.nfe:g} evaluations for {TARGET:g}" if costs else f"none reaches {TARGET:g}"
    )
    ax.set(xscale="log", yscale="log")
    style.label(ax, title=title, x="network evaluations a sample", y="rms error (data units)")
    style.heading(figure, f"root mean squares over {seeds_of(records)}")
    shared_legend(figure, [ax], columns=3)
    return figure
