"""What a board of samplers says in a sentence: who reaches a given accuracy with the fewest evaluations.

Of images also how RK4 and DDIM compare in dB.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mfbench.contracts import Record
from mfbench.protocols.showing import value_of
from mfbench.protocols.step_psnr import psnr_findings

TARGET = 1e-3
"""The rms distance to the exact solution that counts as accurate, data units."""


@dataclass(frozen=True)
class Cost:
    """What a sampler needs for the target: evaluations a sample, and the rms error reached with them."""

    label: str
    nfe: float
    rms: float


def findings(records: Sequence[Record]) -> list[str]:
    """Sentences for each generator among the records."""
    groups: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        groups[generator_of(record)].append(record)
    return [
        sentence
        for name, group in groups.items()
        for sentence in [*_sentence(name, group), *psnr_findings(name, group)]
    ]


def _sentence(generator: str, records: Sequence[Record]) -> list[str]:
    costs = costs_of(records)
    if not costs:
        return []
    first, *others = costs
    text = (
        f"Fewest evaluations for an rms error of {TARGET:g} on {generator}, among the steps run: "
        f"{first.label} with {first.nfe:g} (rms {first.rms:.1e})"
    )
    then = ", ".join(f"{cost.label} {cost.nfe:g}" for cost in others)
    return [f"{text}; then {then}." if then else f"{text}."]


def costs_of(records: Sequence[Record], target: float = TARGET) -> list[Cost]:
    """What each method that reaches the target needs for it, cheapest first.

    The fewest evaluations from which on every larger number that was run reaches it as well, so that a lucky
    crossing of two errors does not count. Over the seeds, the rms of the rms.
    """
    labels = dict.fromkeys(record.label for record in records if record.role == "method")
    found = [
        _cost(label, error_by_cost([r for r in records if r.label == label]), target) for label in labels
    ]
    return sorted((cost for cost in found if cost), key=lambda cost: (cost.nfe, cost.rms))


def _cost(label: str, curve: Sequence[tuple[float, float]], target: float) -> Cost | None:
    reached = None
    for nfe, rms in sorted(curve, reverse=True):
        if rms > target:
            break
        reached = Cost(label, nfe, rms)
    return reached


def error_by_cost(records: Sequence[Record]) -> list[tuple[float, float]]:
    """(evaluations a sample, rms error over all seeds) of each step of one method, by rising evaluations."""
    by_cost: dict[float, list[float]] = defaultdict(list)
    for record in records:
        rms = value_of(record, "rms_distance")
        if record.nfe is not None and np.isfinite(rms):
            by_cost[record.nfe].append(rms)
    return [(nfe, float(np.sqrt(np.mean(np.square(errors))))) for nfe, errors in sorted(by_cost.items())]


def generator_of(record: Record) -> str:
    """The name of the diffusion model that was sampled."""
    generator = record.protocol_parameters.get("generator", "")
    return str(generator["name"]) if isinstance(generator, Mapping) else str(generator)
