"""Numbers for what methods' names repeat: `msma(generator=ddpm_unet[1])`, and a legend that says it in full.

A method that refers to others carries their parameters in its name, so that ten scores of one network repeat
it ten times. Only what a reader sees is shortened: files have every name in full.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from mfbench.plan.labels import Defaults, choice_label

_LONGEST = 24
"""Letters of a reference that is not worth a number."""

Shorthand = Mapping[str, str]
"""What is repeated, in full, and how it is written: `ddpm_unet(width=16, num_steps=100)`: `ddpm_unet[1]`."""


def make_shorthand(records: Sequence[Mapping[str, Any]], defaults: Defaults) -> Shorthand:
    """For the references that stand in the names of two methods or more, numbered as they first appear."""
    methods = {record["label"]: record["method"] for record in records}
    names: dict[str, str] = {}
    users: dict[str, int] = {}
    for label, method in methods.items():
        for reference in _innermost(method["parameters"].values(), defaults):
            full = choice_label(reference, defaults)
            if len(full) > _LONGEST and f"={full}" in label:
                names[full] = reference["name"]
                users[full] = users.get(full, 0) + 1
    repeated = [full for full in names if users[full] > 1]
    return {full: f"{names[full]}[{place}]" for place, full in enumerate(repeated, 1)}


def shorten(label: str, shorthand: Shorthand) -> str:
    """A method's name with its references by number; its own parameters stay."""
    for full, short in shorthand.items():
        label = label.replace(f"={full}", f"={short}")
    return label


def used_in(labels: Iterable[str], shorthand: Shorthand) -> dict[str, str]:
    """The legend of some shortened names: `ddpm_unet[1]`: what it stands for."""
    labels = set(labels)
    return {short: full for full, short in shorthand.items() if any(f"={short}" in label for label in labels)}


def _innermost(values: Iterable[Any], defaults: Defaults) -> Iterator[Mapping[str, Any]]:
    """The references among parameters that refer to nothing with parameters of its own, each once."""
    found: dict[str, Mapping[str, Any]] = {}
    pending = list(values)
    while pending:
        value = pending.pop()
        if isinstance(value, list):
            pending += value
        elif isinstance(value, Mapping) and "kind" in value:
            inner = [one for one in value["parameters"].values() if isinstance(one, (Mapping, list))]
            deeper = list(_innermost(inner, defaults))
            found |= {choice_label(one, defaults): one for one in deeper or [value]}
    yield from found.values()
