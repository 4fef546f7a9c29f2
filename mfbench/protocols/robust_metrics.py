"""The metrics of `patch_robustness` and `linf_robustness`, and shares of images with their intervals."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfbench import measures
from mfbench.contracts import Metric, Value

Array = NDArray[Any]


def _share(name: str, better: Any, description: str, primary: bool = False) -> Metric:
    return Metric(name, "", better, primary=primary, description=description, lowest=0, highest=1)


METRICS = (
    _share("worst_case_accuracy", "higher", "each image under its worst attack", primary=True),
    _share("worst_attack_accuracy", "higher", "of the attack that is worst on one half, on the other half"),
    _share("provisional_accuracy", None, "worst case of a defense that no attack was made for"),
    _share("attacked_accuracy", "higher", "under one attack; of a cascade, under all up to it"),
    _share("clean_accuracy", "higher", "with the defense, on clean images"),
    _share("undefended_clean_accuracy", None, "of the classifier without the defense"),
    _share("undefended_accuracy", None, "of the classifier without the defense, attacked"),
    _share("certified_accuracy", "higher", "answers proven right whatever the attack"),
    _share("semantic_consistency", None, "an independent classifier says the same of the reconstruction"),
    _share("changed_answers", None, "random defenses: chance that two draws on a clean image differ"),
    _share("whole_image_success", None, "attacked without any bounds: must be nearly 1"),
    Metric("flags", "", "lower", description="sanity checks that failed: read the notes", lowest=0),
    Metric(
        "attack_evaluations", "an image", None, description="of classifier and defense, both ways", lowest=0
    ),
    _share("probe_accuracy", None, "under the probing attack, on the images that are checked"),
)


def share_value(metric: str, part: str, shares: Array) -> Value:
    """The mean of (n,) shares in [0, 1]: by Wilson's interval where all are 0 or 1, else Student's, cut."""
    n = len(shares)
    if np.isin(shares, (0, 1)).all():
        found = measures.wilson(int(shares.sum()), n)
        return Value(metric, part, found.value, n, found.low, found.high)
    mean = measures.student(shares)
    ends = [None if end is None else min(max(end, 0.0), 1.0) for end in (mean.low, mean.high)]
    return Value(metric, part, mean.value, n, *ends)
