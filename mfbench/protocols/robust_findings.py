"""What the rows of a robustness board say together."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mfbench.contracts import Record
from mfbench.protocols.showing import role_of, value_of

PRIMARY = "worst_case_accuracy"


def findings(records: Sequence[Record]) -> list[str]:
    """Three sentences at most: of the gap that adaptive attacks open, of clean accuracy, and of flags."""
    means = {label: _means(records, label) for label in dict.fromkeys(record.label for record in records)}
    defenses = {record.label for record in records if role_of(record) == "method"}  # controls win nothing
    ranked = {name: mean for name, mean in means.items() if name in defenses and mean[PRIMARY] >= 0}
    said = []
    if ranked:
        said.append(_gap(ranked))
        said += _cost(ranked)
    flagged = [label for label, mean in means.items() if mean["flags"] > 0]
    if flagged:
        said.append(f"Flagged by a sanity check, to be read with its notes: {', '.join(flagged)}.")
    return said


def _means(records: Sequence[Record], label: str) -> dict[str, float]:
    """Over the label's seeds; NaN where a metric is missing."""
    own = [record for record in records if record.label == label]
    names = (PRIMARY, "clean_accuracy", "undefended_clean_accuracy", "flags")
    means = {name: sum(value_of(record, name) for record in own) / len(own) for name in names}
    means["transfer"] = sum(_transfer(record) for record in own) / len(own)
    return means


def _transfer(record: Record) -> float:
    """Accuracy under the first attack, which knows the classifier alone."""
    first = [value.value for value in record.values if value.metric == "attacked_accuracy"]
    return first[0] if first else math.nan


def _gap(ranked: dict[str, dict[str, float]]) -> str:
    label = max(ranked, key=lambda name: ranked[name]["transfer"] - ranked[name][PRIMARY])
    mean = ranked[label]
    return (
        f"Attacks on the classifier alone promise most too much for {label}: {mean['transfer']:.3f}, of "
        f"which {mean[PRIMARY]:.3f} are left in the worst case over attacks that know the defense."
    )


def _cost(ranked: dict[str, dict[str, float]]) -> list[str]:
    label = max(ranked, key=lambda name: ranked[name][PRIMARY])
    mean = ranked[label]
    lost = mean["undefended_clean_accuracy"] - mean["clean_accuracy"]
    price = f"{abs(lost):.3f} {'less' if lost >= 0 else 'more'} than its classifier without the defense"
    return [
        f"The highest worst-case accuracy is that of {label}: {mean[PRIMARY]:.3f}, with "
        f"{mean['clean_accuracy']:.3f} on clean images, {price}."
    ]
