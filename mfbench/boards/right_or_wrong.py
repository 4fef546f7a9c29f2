"""McNemar's exact test, for methods whose examples are each right or wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.stats import binomtest

from mfbench.measures.comparison import Difference, Scored

RULE = "McNemar's exact test"


def exact(found: Difference, a: Sequence[Scored], b: Sequence[Scored]) -> Difference:
    """The difference with the p of McNemar's test (1947), two-sided, which asks what the two disagree about.

    As it is where an example is neither right nor wrong (1, 0), or groups differ in size. The interval stays.
    """
    left, right = (
        [np.asarray(values, dtype=np.float64).ravel() for _, groups in side for values in groups.values()]
        for side in (a, b)
    )
    one_size = len({len(values) for values in left}) == 1
    if not one_size or not all(bool(np.isin(values, (0.0, 1.0)).all()) for values in [*left, *right]):
        return found
    gained, lost = (
        sum(int((one > other).sum()) for one, other in zip(*sides, strict=True))
        for sides in ((left, right), (right, left))
    )
    if gained + lost == 0:
        return found
    return replace(found, p_value=float(binomtest(gained, gained + lost).pvalue), method=RULE)
