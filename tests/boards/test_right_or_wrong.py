"""McNemar's exact test on boards: by hand, and only where every example is right or wrong."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mfbench.boards.right_or_wrong import RULE, exact
from mfbench.measures import paired_difference


def compared(a, b):
    left, right = ([(float(np.mean(scores)), {"images": np.asarray(scores, float)})] for scores in (a, b))
    found = paired_difference(left, right, np.random.default_rng(0))
    return found, exact(found, left, right)


def test_p_is_that_of_the_images_on_which_two_disagree():
    rng = np.random.default_rng(3)
    a, b = ((rng.random(80) < share).astype(float) for share in (0.9, 0.7))
    before, found = compared(a, b)
    gained, lost = int((a > b).sum()), int((a < b).sum())
    tail = sum(math.comb(gained + lost, k) for k in range(lost + 1)) / 2 ** (gained + lost)
    assert gained > lost > 0
    assert found.p_value == pytest.approx(2 * tail)
    assert found.method == RULE
    assert (found.difference, found.low, found.high) == (before.difference, before.low, before.high)


@pytest.mark.parametrize(
    "other", [[1.0, 0.0, 0.5, 1.0], [1.0, 1.0, 0.0, 1.0]], ids=["shares of draws", "the same answers"]
)
def test_nothing_else_is_touched(other):
    before, found = compared([1.0, 1.0, 0.0, 1.0], other)
    assert found == before
