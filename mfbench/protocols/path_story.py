"""A path told by its symbols: which change, when, and whether the story is true and told once.

A story is a sequence of messages (steps, length), one an image of the path. What symbols stand for is an
assignment made on validation images.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfbench import measures

Array = NDArray[Any]


def changes(stories: Array) -> Array:
    """Symbol changes along each of the stories (n, steps, length), (n,)."""
    return np.asarray(np.count_nonzero(np.diff(stories, axis=1), axis=(1, 2)))


def ends_apart(stories: Array) -> Array:
    """Hamming distance of the first and the last message, (n,)."""
    return np.asarray(np.count_nonzero(stories[:, 0] != stories[:, -1], axis=1))


def monotone(stories: Array) -> Array:
    """Share of the symbols that change at all which never turn back, (n,); NaN where none changes.

    Symbols of a grid are ordered: on the way from 0 to 3 they may pass 1 and 2, in this order alone.
    """
    steps = np.diff(stories, axis=1)
    rises, falls = (steps > 0).any(axis=1), (steps < 0).any(axis=1)
    moving = rises | falls
    count = moving.sum(axis=1)
    steady = (moving & ~(rises & falls)).sum(axis=1)
    return np.where(count > 0, steady / np.maximum(count, 1), np.nan)


def readings(assignment: measures.GridAssignment, stories: Array) -> Array:
    """What messages (n, steps, length) say of the factors, (n, steps, k); -1 where they say nothing."""
    flat = stories.reshape(-1, stories.shape[2])
    told = np.full((len(flat), assignment.sizes[1]), -1, dtype=np.int64)
    for axes, factors, known, values in assignment.pieces:
        meaning = {float(cell[0]): int(value[0]) for cell, value in zip(known, values)}
        told[:, factors[0]] = [meaning.get(float(symbol), -1) for symbol in flat[:, axes[0]]]
    return told.reshape(*stories.shape[:2], -1)


def told_right(read: Array, start: Array, end: Array) -> Array:
    """Whether each factor's story is true, (n, k) bool, from readings (n, steps, k) and true ends (n, k).

    It begins with the true value of the first image, ends with that of the last one, and changes without
    coming back to a value that it has left; where both images agree it does not change at all.
    """
    ends = (read[:, 0] == start) & (read[:, -1] == end)
    changed = np.count_nonzero(np.diff(read, axis=1), axis=1)
    return np.asarray(ends & np.where(start == end, changed == 0, changed + 1 == _distinct(read)))


def _distinct(read: Array) -> Array:
    """How many values each factor takes along each story, (n, k)."""
    ordered = np.sort(read, axis=1)
    return np.asarray(1 + np.count_nonzero(np.diff(ordered, axis=1), axis=1))


def sentence(read: Array, names: Sequence[str], binary: Sequence[bool]) -> str:
    """One story, (steps, k) readings, in words: `beard off, glasses on`, in the order of the path.

    Attributes of more than two values are told as `left 3`. "nothing changes" where nothing does.
    """
    told = []
    for step in range(1, len(read)):
        for j in np.flatnonzero(read[step] != read[step - 1]).tolist():
            value = int(read[step, j])
            if value < 0:
                told.append(f"{names[j]} unclear")
            else:
                told.append(f"{names[j]} {('off', 'on')[value] if binary[j] else value}")
    return ", ".join(told) or "nothing changes"
