"""The attribute labels that a guided method is given: NaN where a label is not to be read."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

import torch
from torch import Tensor

from mfbench import Dataset, DataSpec, Unsupported, UserError
from mfbench_vae.randomness import permutation


def required_names(spec: DataSpec, method: str) -> tuple[str, ...]:
    """The names of the attributes; Unsupported where there are none."""
    if not spec.attributes:
        raise Unsupported(f"{method} is guided by attributes, and the data set has none")
    return tuple(spec.attributes)


def required(attributes: Tensor | None) -> Tensor:
    """The labels of a batch of a guided fit."""
    assert attributes is not None
    return attributes


def places(names: Sequence[str], chosen: Sequence[str], method: str) -> list[int]:
    """Where the chosen attributes stand among all names; UserError for one that is not there."""
    for name in chosen:
        if name not in names:
            near = get_close_matches(name, names, 1)
            hint = f"; did you mean {near[0]!r}?" if near else f", such as {names[0]!r}"
            raise UserError(f"{method}: there is no attribute {name!r}{hint}")
    return [names.index(name) for name in chosen]


def given_attributes(data: Dataset, left_out: Sequence[int], fraction: float, rng: torch.Generator) -> Tensor:
    """(n, k) of the training images as floats; NaN in columns left out, and in all rows but a random share.

    At least one row is kept. UserError where the images come without attributes, or with other numbers than
    integers.
    """
    given = data.train.attributes
    if given is None:
        raise UserError(
            f"data set {data.name!r} has names of attributes, but its training images come without them"
        )
    if given.is_floating_point() and not torch.equal(given, given.round()):
        raise UserError(f"data set {data.name!r}: attributes must be whole numbers, one a column")
    kept = given.to(data.train.x)
    shown = max(1, round(fraction * len(kept)))
    if shown < len(kept):
        hidden = permutation(len(kept), rng)[shown:].to(kept.device)
        kept = kept.index_fill(0, hidden, torch.nan)
    if left_out:
        kept = kept.index_fill(1, torch.tensor(left_out, device=kept.device), torch.nan)
    return kept


def attribute_axes(attributes: Tensor) -> list[list[float]]:
    """The whole numbers from the least to the greatest label of each column; 0 and 1 where there is none."""
    axes = []
    for column in attributes.T:
        seen = column[~column.isnan()]
        low, high = (int(seen.min()), int(seen.max())) if len(seen) else (0, 1)
        axes.append([float(value) for value in range(low, high + 1)])
    return axes
