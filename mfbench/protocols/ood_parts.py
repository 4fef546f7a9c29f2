"""The data sets of `ood_auroc`, the seen one first: named apart, of one shape, on one device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mfbench.contracts import Dataset
from mfbench.errors import Unsupported, UserError

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Part:
    """One data set as this protocol sees it: its name on the board and the test samples used."""

    name: str
    data: Dataset
    x: Tensor


def parts(data: Dataset, against: Sequence[Dataset], count: int | None) -> list[Part]:
    """The seen set and the others, named apart; UserError where there are none or too few samples."""
    if not against:
        raise UserError("ood_auroc: against is empty; name at least one other data set")
    if count is not None and count < 2:
        raise UserError(f"ood_auroc: count is {count}; two or more samples a set are needed")
    for other in against:
        if other.shape != data.shape:
            raise Unsupported(f"{other.name} has shape {other.shape}, but {data.name} has {data.shape}")
    sets = [data, *against]
    device = data.test.x
    return [
        Part(name, each, each.test.x[:count].to(device)) for name, each in zip(distinct_names(sets), sets)
    ]


def distinct_names(sets: Sequence[Dataset]) -> list[str]:
    """The sets' names, with their parameters where a name occurs twice."""
    names = [each.name for each in sets]

    def full(each: Dataset) -> str:
        given = ", ".join(f"{key}={value}" for key, value in sorted(each.parameters.items()))
        return f"{each.name}({given})" if names.count(each.name) > 1 else each.name

    return [full(each) for each in sets]
