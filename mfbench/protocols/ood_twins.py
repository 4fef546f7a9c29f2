"""Sets of `ood_auroc` that show the same samples: each takes rows of its own.

DeLong's variance, and the paired tests made of the same placements, take the seen and the unseen samples as
independent. A set of the seen images upside down breaks that where both sides hold the same images.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mfbench.contracts import Dataset, Split
from mfbench.errors import UserError


def dealt_rows(sets: Sequence[Dataset], splits: Sequence[Split]) -> list[Tensor]:
    """Of each set, the rows (m,) of its split that it shows: all, where no other can hold the same samples.

    Sets of one name, unless both say their `classes` and share none, are taken to hold the same sample in the
    same row, changed or drawn with other parameters. They are dealt the rows in turn, so that none is in two
    of them; where the split knows who is on an image, people are dealt. UserError where two sets share only
    some of their classes, as rows do not agree then.
    """
    rows = []
    for index, (data, split) in enumerate(zip(sets, splits, strict=True)):
        twins = [other for other, each in enumerate(sets) if other == index or may_share(data, each)]
        for other in twins:
            _require_same_classes(data, sets[other])
        rows.append(_share(split, twins.index(index), len(twins)))
    return rows


def may_share(one: Dataset, other: Dataset) -> bool:
    """Whether two sets can hold the same samples, as far as their names and `classes` tell."""
    return one.name == other.name and not other_classes(one, other)


def other_classes(one: Dataset, other: Dataset) -> bool:
    """Whether both say which `classes` they show, of the same `labels`, and share none."""
    mine, theirs = (each.parameters.get("classes") for each in (one, other))
    if not mine or not theirs or set(mine) & set(theirs):
        return False
    return one.parameters.get("labels") == other.parameters.get("labels")


def _require_same_classes(one: Dataset, other: Dataset) -> None:
    for key in ("labels", "classes"):
        mine, theirs = (each.parameters.get(key) for each in (one, other))
        if mine != theirs:
            raise UserError(
                f"ood_auroc: two sets called {one.name} share images: {key} are {mine or 'all'} and "
                f"{theirs or 'all'}; name the same ones, or of the same labels none in common"
            )


def _share(split: Split, which: int, among: int) -> Tensor:
    """Every `among`-th row, or the rows of every `among`-th person in their order of appearance."""
    if split.identity is None:
        return torch.arange(which, len(split), among)
    turns = {person: turn for turn, person in enumerate(dict.fromkeys(split.identity.tolist()))}
    return torch.tensor([r for r, p in enumerate(split.identity.tolist()) if turns[p] % among == which])
