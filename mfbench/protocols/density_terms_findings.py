"""The paper's claim on the terms of a log-density, as it comes out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from mfbench.contracts import Record
from mfbench.identity import canonical
from mfbench.measures import over_seeds
from mfbench.protocols.showing import value_of

LITTLE = 0.05
"""Below this change of AUROC a term counts as changing little."""


def findings(records: Sequence[Record]) -> list[str]:
    """A sentence a method, setting and unseen set: does the first term separate, do others change little?"""
    groups: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for record in records:
        groups[record.label, canonical(record.protocol_parameters)].append(record)
    return [
        _sentence(label, name, terms, group)
        for (label, _), group in groups.items()
        for name, terms in _terms(group[0]).items()
        if len(terms) > 1
    ]


def _terms(record: Record) -> dict[str, list[str]]:
    """By unseen set, the terms in order."""
    found: dict[str, list[str]] = defaultdict(list)
    for value in record.values:
        if value.metric == "auroc_alone":
            name, _, term = value.part.partition(": ")
            found[name].append(term)
    return found


def _sentence(label: str, name: str, terms: Sequence[str], records: Sequence[Record]) -> str:
    first, *others = terms
    area, low, high = _over(records, "auroc", f"{name}: {first}")
    separates = (
        "separates"
        if low > 0.5
        else "separates with the sign reversed"
        if high < 0.5
        else "does not separate"
    )
    total = _mean(records, "auroc", f"{name}: {terms[-1]}") - area
    changes = [
        f"{term} alone has {_mean(records, 'auroc_alone', f'{name}: {term}'):.3f} and changes it by "
        f"{_mean(records, 'auroc_change', f'{name}: {term}'):+.3f}"
        for term in others
    ]
    holds = low > 0.5 and abs(total) < LITTLE
    return (
        f"{label} against {name}: {first} {separates} (AUROC {area:.3f}, {low:.3f} to {high:.3f}); "
        f"{'; '.join(changes)}. That {first} separates and the rest changes little (below {LITTLE:g}) "
        f"{'holds' if holds else 'does not hold'} here."
    )


def _mean(records: Sequence[Record], metric: str, part: str) -> float:
    return float(np.mean([value_of(record, metric, part) for record in records]))


def _over(records: Sequence[Record], metric: str, part: str) -> tuple[float, float, float]:
    """Mean over the seeds with its interval."""
    found = [v for r in records for v in r.values if (v.metric, v.part) == (metric, part)]
    errors = [(float(v.ci_high or 0) - float(v.ci_low or 0)) / (2 * 1.959963984540054) for v in found]
    mean = over_seeds([v.value for v in found], errors)
    nothing = float("nan")
    return (
        mean.value,
        nothing if mean.low is None else max(0.0, mean.low),
        nothing if mean.high is None else min(1.0, mean.high),
    )
