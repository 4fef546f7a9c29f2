"""The data sets of `ood_auroc`, the seen one first: named apart, of one shape and history, on one device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mfbench.contracts import Dataset
from mfbench.errors import Unsupported, UserError
from mfbench.protocols.ood_names import distinct_names
from mfbench.protocols.ood_part import Part
from mfbench.protocols.ood_twins import dealt_rows
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
    """The sets as they are measured, at most `count` samples of each; none of them shows the same sample as
    another one, changed.

    UserError where there are none or too few samples, where two are the same or share some of their classes,
    and where a validation set shows what is tested; Unsupported where an unseen set differs from the seen one
    in shape or history.
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
    rows = dealt_rows(tested_sets, [each.test for each in tested_sets])
    device = data.test.x
    seen, *unseen = (
        Part(name, each, each.test.x[own[:count]].to(device))
        for name, each, own in zip(names, tested_sets, rows)
    )
    _require_enough([seen, *unseen], "test")
    chosen_by: list[Part] = []
    if validation:
        of_val = zip([names[0], *names[1 + len(unseen) :]], [data, *validation])
        whole = [Part(CHOSEN_BY + name, each, each.val.x) for name, each in of_val]
        require_apart(whole[1:], [seen, *unseen])
        rows = dealt_rows([part.data for part in whole], [part.data.val for part in whole])
        chosen_by = [
            replace(part, x=part.x[own[:count]].to(device)) for part, own in zip(whole, rows, strict=True)
        ]
        _require_enough(chosen_by, "choose by")
        require_unshared(chosen_by[1:], [seen, *unseen])
    return Sets(seen, tuple(unseen[: len(near)]), tuple(unseen[len(near) :]), tuple(chosen_by))


def _require_enough(parts: Sequence[Part], use: str) -> None:
    for part in parts:
        if len(part.x) < 2:
            count = f"{len(part.x)} sample{'' if len(part.x) == 1 else 's'}"
            raise UserError(f"ood_auroc: {part.name}: {count} to {use}; two or more a set are needed")


def require_alike(name: str, data: Dataset, other_name: str, other: Dataset) -> None:
    """Unsupported where two sets can be told by how they were made: shape, grey or colour, JPEG, noise."""
    if other.shape != data.shape:
        raise Unsupported(f"{other_name} has shape {other.shape}, but {name} has {data.shape}")
    if data.history is None or other.history is None:
        return
    for there, here, remedy in other.history.differences(data.history):
        raise Unsupported(f"not a fair pair: {other_name} {there}, but {name} {here}; set {remedy}")
