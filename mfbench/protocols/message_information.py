"""Mutual information of symbols as a mean over images: methods are compared by what each image adds to it."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

IMAGES_A_PAIR = 20
"""Images for each pair of symbols, from which on bias and intervals are right to a few per cent."""


def contributions(own: Array, one: Array, other: Array) -> tuple[Array, Array, Array]:
    """What each image adds to the means, (n,) nats each: kept between views, repeated, entropy.

    own, one, other: messages (n, d) of the images and of their two views.
    """
    kept = np.sum([pointwise(a, b) for a, b in zip(one.T, other.T)], axis=0)
    entropy = np.sum([pointwise(a, a) for a in own.T], axis=0)
    pairs = [pointwise(a, b) for a, b in combinations(own.T, 2)]
    return kept, np.sum(pairs, axis=0) if pairs else np.zeros(len(own)), entropy


def pointwise(a: Array, b: Array) -> Array:
    """log p(a, b) / p(a) p(b) of each image's symbols a and b (n,), by frequencies, in nats, less the bias.

    The mean is the plug-in mutual information less (pairs seen - symbols a - symbols b + 1) / 2n; of a and a
    it is the entropy (Miller 1955).
    """
    left, right = (np.unique(column, return_inverse=True)[1] for column in (a, b))
    joint = np.zeros((left.max() + 1, right.max() + 1))
    np.add.at(joint, (left, right), 1 / len(a))
    apart = joint.sum(axis=1)[left] * joint.sum(axis=0)[right]
    bias = (np.count_nonzero(joint) - sum(joint.shape) + 1) / (2 * len(a))
    found: Array = np.log(joint[left, right] / apart) - bias
    return found


def few(messages: Array) -> list[str]:
    """A note where there are too few messages (n, d) for so many symbols."""
    count = len(messages)
    most = max(len(np.unique(column)) for column in messages.T)
    if count >= IMAGES_A_PAIR * most**2:
        return []
    needed = IMAGES_A_PAIR * most**2
    return [f"{count} images for {most} symbols: estimates and intervals are rough below {needed}"]
