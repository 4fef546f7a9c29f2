"""PSNR to the exact solution over steps and evaluations: the figure, and RK4 against DDIM in a sentence."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mfbench.contracts import Record
from mfbench.protocols import style
from mfbench.protocols.showing import looks_of, seeds_of, shared_legend, value_of
from mfbench.protocols.step_images import FINEST
from mfbench.protocols.step_samples import step_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

METHOD, OTHER = "rk4", "ddim"
"""The paper's comparison (Fig. 8)."""

Curve = Mapping[float, tuple[float, float]]
"""Step h -> (evaluations a sample, PSNR in dB), by rising h."""


def draw_psnr(records: Sequence[Record]) -> Figure:
    """Mean PSNR over h and over evaluations; without the ceiling, which is infinite."""
    figure, (line,) = style.new_figure(1, 2, panel=(4.2, 3.4))
    methods = [record for record in records if record.role == "method"]
    curves = curves_of(methods)
    for label, look in looks_of(methods).items():
        curve = _over_seeds([curve for (_, one), curve in curves.items() if one == label])
        if curve:
            nfe, decibel = zip(*curve.values())
            line[0].plot(list(curve), decibel, **look, label=label)
            line[1].plot(nfe, decibel, **look)
    for ax in line:
        ax.set_xscale("log")
    steps = sorted({step for curve in curves.values() for step in curve})
    line[0].set_xticks(steps, [f"{step:g}" for step in steps])
    line[0].minorticks_off()
    style.label(line[0], title="equal steps", x="h (1/T)", y="PSNR to the exact solution\n(dB, range 1)")
    style.label(line[1], title="equal cost", x="network evaluations a sample")
    style.heading(figure, f"{seeds_of(records)}; none counts as more than {FINEST:.1f} dB")
    shared_legend(figure, line, columns=4)
    return figure


def curves_of(records: Sequence[Record]) -> dict[tuple[int, str], Curve]:
    """By seed and label, what was measured; records without a PSNR are left out."""
    curves: dict[tuple[int, str], dict[float, tuple[float, float]]] = defaultdict(dict)
    for record in sorted(records, key=step_of):
        decibel = value_of(record, "psnr")
        if np.isfinite(decibel) and record.nfe is not None:
            curves[record.seed, record.label][step_of(record)] = record.nfe, decibel
    return dict(curves)


def _over_seeds(curves: Sequence[Curve]) -> dict[float, tuple[float, float]]:
    """Means at the steps that every seed has."""
    common = [step for step in curves[0] if all(step in curve for curve in curves)] if curves else []
    means = {step: np.mean([curve[step] for curve in curves], axis=0) for step in common}
    return {step: (float(nfe), float(decibel)) for step, (nfe, decibel) in means.items()}


def psnr_findings(generator: str, records: Sequence[Record]) -> list[str]:
    """A sentence for each variant of RK4 against each of DDIM: how many dB it is above, or below."""
    methods = {record.label: record.method for record in records if record.role == "method"}
    pairs = [(a, b) for a in methods for b in methods if (methods[a], methods[b]) == (METHOD, OTHER)]
    curves = curves_of(records)
    return [text for a, b in pairs if (text := _comparison(generator, a, b, curves))]


def _comparison(generator: str, a: str, b: str, curves: Mapping[tuple[int, str], Curve]) -> str:
    """What a is above b at equal h and at equal evaluations; empty where they never meet."""
    seeds = sorted({seed for seed, _ in curves if (seed, a) in curves and (seed, b) in curves})
    pairs = [(curves[seed, a], curves[seed, b]) for seed in seeds]
    steps = _gathered([at_equal_steps(*pair) for pair in pairs], "h = ")
    costs = _gathered([at_equal_cost(*pair) for pair in pairs], "")
    parts = [f"at equal h {steps}"] * bool(steps) + [f"at equal evaluations a sample {costs}"] * bool(costs)
    over = f" (means over {len(seeds)} seeds, ranges in brackets)" if len(seeds) > 1 else ""
    if not parts:
        return ""
    return f"PSNR to the exact solution on {generator}, {a} against {b}{over}: {'; '.join(parts)}."


def at_equal_steps(one: Curve, other: Curve) -> dict[str, float]:
    """Differences in dB by step."""
    return {f"{step:g}": one[step][1] - other[step][1] for step in one if step in other}


def at_equal_cost(one: Curve, other: Curve) -> dict[str, float]:
    """Differences in dB by evaluations.

    Where `other` was not run at as many, its PSNR lies on the line between its neighbours over the logarithm
    of evaluations, and it says so; beyond its ends there is nothing.
    """
    known = dict(sorted(other.values()))
    found = {}
    for nfe, decibel in sorted(one.values(), reverse=True):
        if nfe in known:
            found[f"{nfe:g}"] = decibel - known[nfe]
        elif min(known) < nfe < max(known):
            between = float(np.interp(np.log(nfe), np.log(list(known)), list(known.values())))
            found[f"{nfe:g}, interpolated"] = decibel - between
    return found


def _gathered(seeds: Sequence[Mapping[str, float]], name: str) -> str:
    """ "+21.1 dB [20.8, 21.4] (h = 10), ...", over the seeds, at what all of them have."""
    common = [key for key in seeds[0] if all(key in each for each in seeds)] if seeds else []
    texts = []
    for key in common:
        differences = [each[key] for each in seeds]
        ends = f" [{min(differences):+.1f}, {max(differences):+.1f}]" if len(seeds) > 1 else ""
        texts.append(f"{np.mean(differences):+.1f} dB{ends} ({name}{key})")
    return ", ".join(texts)
