"""The grid of samples of `step_consistency`: samplers over steps h, as many of each as a page holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mfbench.contracts import Record
from mfbench.protocols import style
from mfbench.protocols.sample_figures import SQUARE, picture
from mfbench.protocols.showing import Kept, in_lines, seeds_of, value_of
from mfbench.protocols.step_images import FINEST

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_STEPS = 5
MOST_SAMPLERS = 10


def draw_samples(shown: Sequence[tuple[Record, Kept]]) -> Figure:
    """Rows: samplers; columns: steps h; the same x_T everywhere, over held-out points in grey."""
    records = [record for record, _ in shown]
    labels, steps = rows_of(records), columns_of(records)
    figure, axes = style.new_figure(len(labels), len(steps), panel=SQUARE)
    for ax in axes.flat:
        style.plain(ax)
    for record, kept in shown:
        if record.label in labels and step_of(record) in steps:
            ax = axes[labels.index(record.label), steps.index(step_of(record))]
            picture(ax, kept)
            ax.set_xlabel(_caption(record), fontsize=7)
    for line, label in zip(axes, labels):
        line[0].set_ylabel(in_lines(label), fontsize=8)
    for ax, step in zip(axes[0], steps):
        style.label(ax, title=f"h = {step:g}", x=ax.get_xlabel(), y=ax.get_ylabel())
    style.heading(figure, _heading(records, labels, steps))
    return figure


def step_of(record: Record) -> float:
    """h, in units of 1/T."""
    return float(record.protocol_parameters.get("step", 1.0))


def rows_of(records: Sequence[Record]) -> list[str]:
    """Labels of at most `MOST_SAMPLERS`: one of each method first, then its variants; in their order."""
    labels = {record.label: record.method for record in records}
    firsts = list({method: label for label, method in reversed(labels.items())}.values())
    chosen = sorted(labels, key=lambda label: label not in firsts)[:MOST_SAMPLERS]
    return [label for label in labels if label in chosen]


def columns_of(records: Sequence[Record]) -> list[float]:
    """At most `MOST_STEPS` steps, rising: those that most samplers took, of these the largest.

    At small steps all samples look like the exact ones.
    """
    samplers = Counter(step for _, step in {(record.label, step_of(record)) for record in records})
    chosen = sorted(samplers, key=lambda step: (-samplers[step], -step))[:MOST_STEPS]
    return sorted(chosen)


def _caption(record: Record) -> str:
    distance, energy = value_of(record, "distance"), value_of(record, "energy_distance")
    decibel = value_of(record, "psnr")
    if np.isfinite(decibel):
        return f"PSNR {decibel:.1f} dB" if decibel < FINEST - 1e-6 else "the exact solution"
    return f"distance {distance:.2g}" if np.isfinite(distance) else f"energy distance {energy:.2g}"


def _heading(records: Sequence[Record], labels: Sequence[str], steps: Sequence[float]) -> str:
    """The seed, and what the grid leaves out."""
    samplers = len({record.label for record in records})
    without = [f"{samplers - len(labels)} of {samplers} samplers"] if samplers > len(labels) else []
    other = sorted({step_of(record) for record in records} - set(steps))
    without += [f"h = {', '.join(f'{step:g}' for step in other)}"] if other else []
    return seeds_of(records) + (f"; left out: {' and '.join(without)}" if without else "")
