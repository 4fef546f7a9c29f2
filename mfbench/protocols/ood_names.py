"""Names of data sets on one board: the registered name, and of the parameters those that tell them apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from mfbench.contracts import Dataset
from mfbench.errors import UserError


def distinct_names(sets: Sequence[Dataset]) -> list[str]:
    """A name for each set, the seen one first; UserError where two sets are the same.

    A set called as the seen one is told by the parameters in which it differs from it, the seen set keeps its
    name alone: `digits` and `digits(upside_down=true)`. Unseen sets of another name that is there several
    times are told by the parameters in which they differ among themselves.
    """
    names = [_name(index, sets) for index in range(len(sets))]
    for index, name in enumerate(names):
        if name in names[:index]:
            raise UserError(
                f"ood_auroc: {name} is there twice: the seen set and those of near, against and validation "
                "must all be different ones"
            )
    return names


def _name(index: int, sets: Sequence[Dataset]) -> str:
    this, seen = sets[index], sets[0]
    if index == 0:
        return this.name
    others = [seen] if this.name == seen.name else [each for each in sets if each.name == this.name]
    given = ", ".join(f"{key}={_text(this.parameters.get(key))}" for key in _differing([this, *others]))
    return f"{this.name}({given})" if given else this.name


def _differing(sets: Sequence[Dataset]) -> list[str]:
    keys = sorted({key for each in sets for key in each.parameters})
    return [key for key in keys if any(s.parameters.get(key) != sets[0].parameters.get(key) for s in sets)]


def _text(value: Any) -> str:
    """As suites write it: references and files by their names."""
    if isinstance(value, Mapping):
        return PurePath(value["file"]).name if "file" in value else str(value.get("name", dict(value)))
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_text, value))}]"
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    return str(value)
