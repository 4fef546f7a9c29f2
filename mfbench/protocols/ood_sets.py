"""The data sets of `ood_auroc`, the seen one first: named apart, of one shape and history, on one device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mfbench.contracts import Dataset
from mfbench.errors import Unsupported, UserError
from mfbench.protocols.ood_names import distinct_names
from mfbench.protocols.ood_part import Part
from mfbench.protocols.ood_validation import require_apart, require_unshared

NEAR, FAR, VALIDATION = "near mean", "far mean", "validation mean"
"""Parts that are means over sets; no set is called so, as names of sets have no spaces."""
CHOSEN_BY = "validation: "
"""What the part of a single set to choose by begins with; its name follows."""


@dataclass(frozen=True)
class Sets:
    """What one measurement looks at: test splits, and validation splits where sets to choose by are named.

    near: unseen sets said to be near the seen one; empty where nothing was said, and all are in `far`.
    validation: the seen set first; empty where there are no sets to choose by.
    """

    seen: Part
    near: tuple[Part, ...]
    far: tuple[Part, ...]
    validation: tuple[Part, ...] = ()

    @property
    def unseen(self) -> tuple[Part, ...]:
        """The sets that the primary value is the mean over."""
        return (*self.near, *self.far)

    @property
    def groups(self) -> dict[str, list[str]]:
        """By part, the unseen sets of the means beside the primary one: near and far, if they were told."""
        told = {NEAR: self.near, FAR: self.far} if self.near else {}
        return {part: [each.name for each in group] for part, group in told.items()}


def ood_sets(
    data: Dataset,
    against: Sequence[Dataset],
    near: Sequence[Dataset],
    validation: Sequence[Dataset],
    count: int | None,
) -> Sets:
    """The sets as they are measured, at most `count` samples of each.

    UserError where there are none or too few samples, where two are the same, and where a validation set
    shows what is tested; Unsupported where an unseen set differs from the seen one in shape or history.
    """
    if not against:
        raise UserError("ood_auroc: against is empty; name at least one other data set")
    if count is not None and count < 2:
        raise UserError(f"ood_auroc: count is {count}; two or more samples a set are needed")
    tested_sets = [data, *near, *against]
    names = distinct_names(tested_sets)  # validation sets do not change what the tested ones are called
    names += distinct_names([*tested_sets, *validation])[len(names) :]
    for name, other in zip(names[1:], [*near, *against, *validation]):
        require_alike(names[0], data, name, other)
    device = data.test.x

    def tested(name: str, each: Dataset) -> Part:
        return Part(name, each, each.test.x[:count].to(device))

    seen, *unseen = (tested(*pair) for pair in zip(names, tested_sets))
    chosen_by: list[Part] = []
    if validation:
        chosen_by = [
            Part(CHOSEN_BY + name, each, each.val.x[:count].to(device))
            for name, each in [(names[0], data), *zip(names[1 + len(unseen) :], validation)]
        ]
        require_apart(chosen_by[1:], [seen, *unseen])
        require_unshared(chosen_by[1:], [seen, *unseen])
    return Sets(seen, tuple(unseen[: len(near)]), tuple(unseen[len(near) :]), tuple(chosen_by))


def require_alike(name: str, data: Dataset, other_name: str, other: Dataset) -> None:
    """Unsupported where two sets can be told by how they were made: shape, grey or colour, JPEG, noise."""
    if other.shape != data.shape:
        raise Unsupported(f"{other_name} has shape {other.shape}, but {name} has {data.shape}")
    if data.history is None or other.history is None:
        return
    for there, here, remedy in other.history.differences(data.history):
        raise Unsupported(f"not a fair pair: {other_name} {there}, but {name} {here}; set {remedy}")
