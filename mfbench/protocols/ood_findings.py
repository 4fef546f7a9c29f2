"""What a board of likelihoods says in sentences: whose mean log-density is highest, and what steps cost."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from mfbench.contracts import Record
from mfbench.identity import canonical
from mfbench.measures import Interval, over_seeds
from mfbench.protocols.ood_selection import selected
from mfbench.protocols.showing import value_of

NORMAL_95 = 1.959963984540054
"""A normal 95 % interval is twice so many standard errors wide."""


def findings(records: Sequence[Record]) -> list[str]:
    """Sentences for each setting (unseen sets, samples a set) among the records."""
    settings: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        settings[canonical(record.protocol_parameters)].append(record)
    return [
        sentence
        for group in settings.values()
        for sentence in [*_highest(group), *_over_steps(group), *selected(group)]
    ]


def _highest(records: Sequence[Record]) -> list[str]:
    """The paper's finding, as it comes out: by which methods the seen set has the highest mean log-density.

    A set counts as higher where the 95 % interval of the difference does not hold 0.
    """
    said: dict[str, list[str]] = defaultdict(list)
    for label, group in _by_label(records).items():
        verdict = _verdict(group)
        if verdict:
            said[verdict].append(label)
    if not said:
        return []
    order = sorted(said, key=lambda verdict: verdict != _IS_HIGHEST)
    verdicts = "; ".join(f"{verdict} by {', '.join(said[verdict])}" for verdict in order)
    return [f"Mean log-density of {records[0].data}, the seen set, over the seeds: {verdicts}."]


_IS_HIGHEST = "higher than of every unseen set"


def _verdict(records: Sequence[Record]) -> str:
    """How the seen set's mean log-density compares with the others', by one method; "" without densities."""
    seen = records[0].data
    sets = dict.fromkeys(v.part for r in records for v in r.values if v.metric == "mean_log_density")
    means = {name: [_mean_and_error(record, name) for record in records] for name in sets}
    if seen not in means or len(means) < 2:
        return ""
    if not all(math.isfinite(mean) for pairs in means.values() for mean, _ in pairs):
        return "not finite"
    gaps = {name: _difference(means[seen], pairs) for name, pairs in means.items() if name != seen}
    lower = [name for name, gap in gaps.items() if gap.high is not None and gap.high < 0]
    open_ = [name for name, gap in gaps.items() if not (gap.low is not None and gap.low > 0)]
    if lower:
        return f"lower than of {' and '.join(lower)}"
    return f"not told apart from {' and '.join(open_)}" if open_ else _IS_HIGHEST


def _difference(seen: Sequence[tuple[float, float]], unseen: Sequence[tuple[float, float]]) -> Interval:
    """The first mean minus the second, over the seeds; each with its standard error, seed by seed."""
    pairs = list(zip(seen, unseen))
    return over_seeds([a - b for (a, _), (b, _) in pairs], [math.hypot(a, b) for (_, a), (_, b) in pairs])


def _mean_and_error(record: Record, name: str) -> tuple[float, float]:
    """A set's mean log-density in nats and its standard error; NaN where there is none."""
    for value in record.values:
        if (value.metric, value.part) == ("mean_log_density", name):
            low, high = (math.nan if end is None else end for end in (value.ci_low, value.ci_high))
            return value.value, (high - low) / (2 * NORMAL_95)
    return math.nan, math.nan


def _over_steps(records: Sequence[Record]) -> list[str]:
    """For a method that was run at several steps h and else alike, its mean AUROC over h."""
    families: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for record in records:
        if isinstance(record.parameters.get("step"), (int, float)):
            rest = {name: value for name, value in record.parameters.items() if name != "step"}
            families[record.method, canonical(rest)].append(record)
    return [text for family in families.values() for text in _losses(family)]


def _losses(records: Sequence[Record]) -> list[str]:
    by_step: dict[float, list[float]] = defaultdict(list)
    for record in records:
        by_step[float(record.parameters["step"])].append(value_of(record, "auroc"))
    means = {step: float(np.mean(aurocs)) for step, aurocs in sorted(by_step.items())}
    if len(means) < 2:
        return []
    first = next(iter(means))
    label = next(record.label for record in records if record.parameters["step"] == first)
    losses = ", ".join(
        f"{auroc:.3f} ({auroc - means[first]:+.3f}) at {step:g}"
        for step, auroc in means.items()
        if step != first
    )
    return [f"Mean AUROC of {label} at h = {first:g}: {means[first]:.3f}; with larger steps {losses}."]


def _by_label(records: Iterable[Record]) -> dict[str, list[Record]]:
    groups: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        groups[record.label].append(record)
    return groups
