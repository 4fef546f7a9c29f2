"""What a board of likelihoods says in sentences: whose mean log-density is highest, and what steps cost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from mfbench.contracts import Record
from mfbench.identity import canonical
from mfbench.protocols.ood_selection import selected
from mfbench.protocols.showing import value_of


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
    """The paper's finding, as it comes out: which set has the highest mean log-density by each method."""
    by_set: dict[str, list[str]] = defaultdict(list)
    for label, group in _by_label(records).items():
        means = mean_log_densities(group)
        if means:
            by_set[max(means, key=lambda name: means[name])].append(label)
    if not by_set:
        return []
    seen = records[0].data
    order = sorted(by_set, key=lambda name: name != seen)
    said = "; ".join(
        f"on {name}{', the seen set,' if name == seen else ''} by {', '.join(by_set[name])}" for name in order
    )
    return [f"The mean log-density (over the seeds) is highest {said}."]


def mean_log_densities(records: Sequence[Record]) -> dict[str, float]:
    """By set, the mean over the records of its mean log-density in nats; empty for methods that only rank."""
    sets = dict.fromkeys(v.part for r in records for v in r.values if v.metric == "mean_log_density")
    means = {name: float(np.mean([value_of(r, "mean_log_density", name) for r in records])) for name in sets}
    return {name: mean for name, mean in means.items() if not np.isnan(mean)}


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
