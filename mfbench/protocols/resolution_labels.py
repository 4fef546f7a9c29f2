"""Whether a super-resolved image shows what its original shows: by a classifier's label, by attributes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from mfbench import measures
from mfbench.contracts import Defense, Metric, PredictsAttributes, Split, Value
from mfbench.errors import ContractError, Unsupported
from mfbench.protocols.likeness import mean_value
from mfbench.protocols.step_images import BATCH, labels

LABEL_METRICS = (
    Metric(
        "label_agreement",
        "",
        "higher",
        description="images with the label that the classifier of `features` gives the original",
        lowest=0,
        highest=1,
    ),
    Metric(
        "attribute_agreement",
        "",
        "higher",
        description="attributes of the original that the judge finds, mean over attributes",
        lowest=0,
        highest=1,
    ),
    Metric(
        "attribute_ceiling",
        "",
        None,
        description="the same of the originals: what the judge is worth",
        lowest=0,
        highest=1,
    ),
)


def label_agreement(features: Any, found: Tensor, originals: Tensor) -> Iterator[Value]:
    """The share of images to which a classifier gives the label of their original, with Wilson's interval;
    nothing where `features` is no classifier.
    """
    if isinstance(features, Defense):
        same = labels(features, found) == labels(features, originals)
        share = measures.wilson(int(same.sum()), len(same))
        yield Value("label_agreement", "", share.value, len(same), share.low, share.high)


def attribute_agreement(judge: Any, found: Tensor, test: Split, count: int) -> Iterator[Value]:
    """The share of known attributes that the judge finds in each image, of results and of originals."""
    if judge is None:
        return
    if test.attributes is None:
        raise Unsupported("a judge of attributes is given, but the data have none")
    truth = test.attributes[:count]
    for metric, images in (("attribute_agreement", found), ("attribute_ceiling", test.x[:count])):
        agree = (_predicted(judge, images, truth) == truth).double().mean(1)
        yield mean_value(metric, "", agree.cpu().numpy())


def _predicted(judge: PredictsAttributes, images: Tensor, truth: Tensor) -> Tensor:
    """(n, k) int64."""
    found = torch.cat([judge.predict_attributes(part) for part in torch.split(images, BATCH)])
    if found.shape != truth.shape:
        raise ContractError(
            f"{type(judge).__name__}.predict_attributes must return shape {tuple(truth.shape)}, not "
            f"{tuple(found.shape)}"
        )
    return found.to(truth.device)
