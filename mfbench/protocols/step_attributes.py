"""Flips of attributes: which of those that a judge sees on the exact sample are others on a sampler's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from mfbench import measures
from mfbench.contracts import Metric, PredictsAttributes, Split, Value
from mfbench.errors import ContractError

METRICS = (
    Metric(
        "attribute_flips",
        "",
        "lower",
        description="images whose attribute is not that of the exact solution; overall: mean",
        lowest=0,
        highest=1,
    ),
    Metric(
        "self_attribute_flips",
        "",
        "lower",
        description="the same, against the own result at h = 1",
        lowest=0,
        highest=1,
    ),
    Metric(
        "judge_accuracy",
        "",
        None,
        description="of the judge of attributes, on held-out data: mean over attributes",
        lowest=0,
        highest=1,
    ),
)
"""The metrics that only images with a judge of attributes have."""

BATCH = 256
"""Images judged at once."""


def flips(
    judge: PredictsAttributes, samples: Tensor, exact: Tensor, own: Tensor, held_out: Split
) -> Iterator[Value]:
    """Shares of attributes of images (n, c, h, w) that are others than their counterpart's, against the exact
    solution also by attribute. `own`, to which the first samples are compared, may hold fewer.
    """
    given = seen_by(judge, samples)
    flipped = given != seen_by(judge, exact)
    yield mean_share("attribute_flips", flipped)
    for name, column in zip(held_out.names.get("attributes", ()), flipped.T):
        share = measures.wilson(int(column.sum()), len(column))
        yield Value("attribute_flips", name, share.value, len(column), share.low, share.high)
    yield mean_share("self_attribute_flips", given[: len(own)] != seen_by(judge, own))
    if held_out.attributes is not None:
        yield mean_share("judge_accuracy", seen_by(judge, held_out.x) == held_out.attributes)


def mean_share(metric: str, table: Tensor) -> Value:
    """Of truths (n, k), with Student's interval over the rows, cut at 0 and 1."""
    mean = measures.student(table.double().mean(dim=1).cpu().numpy())
    ends = [None if end is None else min(max(end, 0.0), 1.0) for end in (mean.low, mean.high)]
    return Value(metric, "", mean.value, len(table), *ends)


def seen_by(judge: PredictsAttributes, images: Tensor) -> Tensor:
    """(n, k) int64, of images (n, c, h, w), clamped to [0, 1]."""
    return torch.cat([_checked(judge, part) for part in torch.split(images.clamp(0, 1), BATCH)])


def _checked(judge: PredictsAttributes, images: Tensor) -> Tensor:
    found: Any = judge.predict_attributes(images)
    shape = tuple(getattr(found, "shape", ()))
    if len(shape) != 2 or shape[0] != len(images):
        raise ContractError(
            f"{type(judge).__name__}.predict_attributes must return shape ({len(images)}, attributes), "
            f"not {shape}"
        )
    checked: Tensor = found
    return checked
