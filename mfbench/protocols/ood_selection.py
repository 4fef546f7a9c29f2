"""What validation sets choose, and what the chosen gets on the tested sets: sentences and a figure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mfbench.contracts import Record
from mfbench.identity import canonical
from mfbench.protocols import style
from mfbench.protocols.ood_sets import CHOSEN_BY, FAR, NEAR, VALIDATION
from mfbench.protocols.showing import (
    LEGEND_HANDLE,
    LEGEND_LETTER,
    looks_of,
    role_of,
    seeds_of,
    shared_legend,
    value_of,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

UNRANKED = ("+", "x", "1", "2", "3", "4", "|", "_")
"""Markers of ceilings, references and controls, whose lines have none."""
WIDEST = 9.0
"""Of the figure, in inches: beyond, the longest labels are cut."""


@dataclass(frozen=True)
class Setting:
    """A method with its parameters: mean AUROC over the seeds on the validation sets and on the tested ones.

    near, far: on these groups; NaN where none were named.
    """

    method: str
    label: str
    validation: float
    test: float
    near: float
    far: float


def settings_of(records: Sequence[Record]) -> list[Setting]:
    """Of each label with validation AUROCs, in the records' order, controls and ceilings included."""
    groups: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        groups[record.label].append(record)

    def mean(group: Sequence[Record], part: str) -> float:
        return float(np.mean([value_of(record, "auroc", part) for record in group]))

    sets = validation_sets(records)
    chosen_by = VALIDATION if len(sets) > 1 else CHOSEN_BY + "".join(sets)
    made = [
        Setting(group[0].method, label, *(mean(group, part) for part in (chosen_by, "", NEAR, FAR)))
        for label, group in groups.items()
    ]
    return [setting for setting in made if not np.isnan(setting.validation)]


def selected(records: Sequence[Record]) -> list[str]:
    """Of records of one setting of the protocol: which parameters of each method, and which method of all,
    is best on the validation sets, and its AUROC on the tested ones. Ceilings and controls are not chosen.
    """
    settings = settings_of([record for record in records if role_of(record) == "method"])
    if not settings:
        return []
    where = f"Chosen on validation ({', '.join(validation_sets(records))})"
    families: dict[str, list[Setting]] = defaultdict(list)
    for setting in settings:
        families[setting.method].append(setting)
    said = [
        f"{where}, of {len(family)} settings of {method}: {_choice(family)}"
        for method, family in families.items()
        if len(family) > 1
    ]
    if len(families) > 1:
        said.append(f"{where}, of {len(settings)} methods and settings: {_choice(settings)}")
    return said


def _choice(settings: Sequence[Setting]) -> str:
    best = max(settings, key=lambda setting: setting.validation)
    highest = max(settings, key=lambda setting: setting.test)
    groups = {"near": best.near, "far": best.far}
    told = ", ".join(f"{name} {auroc:.3f}" for name, auroc in groups.items() if not np.isnan(auroc))
    said = (
        f"{best.label}, mean AUROC {best.validation:.3f} on validation and {best.test:.3f} on the tested sets"
        f"{f' ({told})' if told else ''}"
    )
    if highest.test > best.test:
        return (
            f"{said}; the highest on these, by which nobody may choose: {highest.test:.3f}, {highest.label}."
        )
    return f"{said}, where it is the best as well."


def validation_sets(records: Sequence[Record]) -> list[str]:
    """Names of the sets to choose by, each once."""
    parts = dict.fromkeys(value.part for record in records for value in record.values)
    return [part.removeprefix(CHOSEN_BY) for part in parts if part.startswith(CHOSEN_BY)]


def draw_selection(records: Sequence[Record]) -> Figure | None:
    """Mean AUROC on the tested sets over that on the validation sets, a mark a method; None without any.

    Where the protocol was asked in several ways, the first with validation sets is shown.
    """
    asked = [canonical(record.protocol_parameters) for record in records if validation_sets([record])]
    records = [record for record in records if canonical(record.protocol_parameters) in asked[:1]]
    settings = settings_of(records)
    if not settings:
        return None
    looks, thin = looks_of(records), iter(UNRANKED * len(settings))
    entry = LEGEND_HANDLE + LEGEND_LETTER * max(len(setting.label) for setting in settings)
    figure, axes = style.new_figure(panel=(min(max(4.2, entry), WIDEST), 3.6))
    ax = axes[0, 0]
    for setting in settings:
        look = {"markersize": 6.0} | looks[setting.label] | {"linestyle": "none"}
        look["marker"] = look["marker"] or next(thin)
        ax.plot(setting.validation, setting.test, label=setting.label, **look)
    low, high = min(ax.get_xlim()[0], ax.get_ylim()[0]), max(ax.get_xlim()[1], ax.get_ylim()[1])
    ax.plot([low, high], [low, high], color="0.8", linewidth=0.8, zorder=0)
    style.label(ax, x="mean AUROC, validation sets", y="mean AUROC, tested sets")
    style.heading(figure, seeds_of(records))
    shared_legend(figure, [ax], columns=2)
    return figure
