"""How local a disentanglement is: does moving a dimension change the same attribute on every image?

A dimension is moved from its 10 % to its 90 % quantile among validation codes, and the classifier's answers
to both images are compared. With q_n(j) even over the attributes that change on image n:
`semantic_entropy` is the entropy of the mean of q_n, `local_entropy` the mean of their entropies, both over
log k. 0 and 0: one attribute, the same everywhere. 1 and 0: one attribute on each image, but another one on
every image: disentangled locally and not globally, as Tu et al. 2023 saw in Fig. 12.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mfbench.contracts import Value
from mfbench.protocols.clusters import jackknife
from mfbench.protocols.codes import as_codes
from mfbench.protocols.editing_handles import with_places

Array = NDArray[Any]
Judge = Callable[[Tensor], Array]
"""Codes (n, d) to the attributes (n, k) that the classifier sees in what they are decoded to."""

ENDS = (0.1, 0.9)
GROUPS = 5
FEWEST = 10
"""Images on which a dimension must change something for its entropy to be given."""


def changes(codes: Tensor, on_val: Tensor, judge: Judge) -> Array:
    """Which attributes change on which image where a dimension is moved, (d, n, k) bool."""
    ends = np.quantile(as_codes(on_val), ENDS, axis=0)
    found = []
    for dimension, (low, high) in enumerate(ends.T):
        below, above = (judge(with_places(codes, [(dimension, end)])) for end in (low, high))
        found.append(below != above)
    return np.stack(found)


def entropies(changed: Array) -> tuple[float, float]:
    """`semantic_entropy` and `local_entropy` of changes (n, k) by one dimension; NaN where none changes."""
    some = changed[changed.any(axis=1)].astype(np.float64)
    if not len(some):
        return math.nan, math.nan
    each = some / some.sum(axis=1, keepdims=True)
    mean = each.mean(axis=0)
    whole = -np.sum(mean * np.log(mean, where=mean > 0, out=np.zeros_like(mean)))
    scale = math.log(changed.shape[1])
    return float(whole / scale), float(np.log(some.sum(axis=1)).mean() / scale)


def values(changed: Array, clusters: Array) -> list[Value]:
    """Both entropies of each dimension that changes something, and their means over these dimensions."""
    live = [i for i, table in enumerate(changed) if np.count_nonzero(table.any(axis=1)) >= FEWEST]
    if changed.shape[2] < 2 or not live:
        return []

    def measure(rows: Array) -> dict[tuple[str, str], float]:
        each = {i: entropies(changed[i][rows]) for i in live}
        found: dict[tuple[str, str], float] = {}
        for place, metric in enumerate(("semantic_entropy", "local_entropy")):
            found[metric, ""] = float(np.nanmean([pair[place] for pair in each.values()]))
            found |= {(metric, f"dimension {i}"): pair[place] for i, pair in each.items()}
        return found

    return jackknife(measure, clusters, GROUPS)
