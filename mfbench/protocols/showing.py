"""What the figures of all protocols do with records: which are shown, in which order, under which name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mfbench.contracts import Record, Role
from mfbench.identity import canonical

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[Any]
Kept = Mapping[str, Array]

ROLES: tuple[Role, ...] = ("ceiling", "reference", "method", "control")
"""From the best possible down, as on a board."""


def one_of_each(records: Sequence[Record], arrays: Sequence[Kept]) -> list[tuple[Record, Kept]]:
    """One record, of the lowest seed, for each method and protocol parameters that kept something to draw."""
    chosen: dict[tuple[str, str], tuple[Record, Kept]] = {}
    for record, kept in sorted(zip(records, arrays), key=lambda pair: pair[0].seed):
        if kept:
            asked = (record.label, canonical(record.protocol_parameters))
            chosen.setdefault(asked, (record, kept))
    order = {id(record): place for place, record in enumerate(records)}
    return sorted(chosen.values(), key=lambda pair: (ROLES.index(role_of(pair[0])), order[id(pair[0])]))


def role_of(record: Record) -> Role:
    """The record's role; one that this version does not know is drawn as a method's."""
    return next((role for role in ROLES if role == record.role), "method")


def value_of(record: Record, metric: str, part: str = "") -> float:
    """The record's value; NaN where it has none."""
    found = [v.value for v in record.values if v.metric == metric and v.part == part]
    return found[0] if found else float("nan")


def in_two_lines(label: str) -> str:
    """A method's label with its parameters on a second line."""
    name, bracket, parameters = label.partition("(")
    return f"{name}\n{bracket}{parameters}" if bracket else label


def evenly(n: int, at_most: int) -> Array:
    """Indices of at most so many of n examples, evenly spaced, in order."""
    return np.arange(n) if n <= at_most else np.linspace(0, n - 1, at_most).round().astype(np.int64)


def shared_legend(figure: Figure, axes: Iterable[Any], columns: int, title: str | None = None) -> None:
    """One legend under all panels, each entry once."""
    entries = {text: handle for ax in axes for handle, text in zip(*ax.get_legend_handles_labels())}
    look: dict[str, Any] = {"loc": "outside lower center", "ncols": columns, "frameon": False, "fontsize": 8}
    figure.legend(list(entries.values()), list(entries), title=title, title_fontsize=8, **look)
