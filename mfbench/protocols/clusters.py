"""Means over images of which several show one person: people are the independent examples, not images.

Without identities every image is an example of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfbench import measures
from mfbench.contracts import Split, Value

Array = NDArray[Any]


def clusters_of(split: Split, count: int | None = None) -> Array:
    """Which example (0, 1, ...) each of the first `count` images belongs to, (n,) int64."""
    if split.identity is None:
        return np.arange(len(split.x[:count]))
    people = split.identity[:count].cpu().numpy()
    return np.unique(people, return_inverse=True)[1].astype(np.int64).ravel()


def by_cluster(contributions: Array, clusters: Array) -> Array:
    """One contribution a cluster, (g,), with the same mean as those of the images (n,).

    value + n_c / mean(n_c) (mean_c - value): the delta method for a ratio of sums over independent clusters.
    """
    sizes = np.bincount(clusters)
    value = float(np.mean(contributions))
    excess = np.bincount(clusters, weights=contributions - value)
    spread: Array = value + excess[sizes > 0] / np.mean(sizes[sizes > 0])
    return spread


def mean_value(metric: str, part: str, contributions: Array, clusters: Array) -> Value:
    """Their mean with Student's interval over clusters; where all are 0 or all are 1, Wilson's."""
    spread = by_cluster(contributions, clusters)
    found = measures.student(spread)
    if np.ptp(contributions) == 0 and contributions[0] in (0, 1):
        found = measures.wilson(int(contributions[0]) * len(spread), len(spread))
    return Value(metric, part, found.value, len(contributions), found.low, found.high)


def jackknife(measure: Callable[[Array], Mapping[Any, float]], clusters: Array, groups: int) -> list[Value]:
    """Metrics of all images with 95 % intervals by the delete-a-group jackknife (Kott 2001).

    `measure(rows)` gives them by name, or by name and part. It is called on all rows and, for each of
    `groups` parts of the clusters, on all but that part's; SE^2 = (G - 1) / G sum of (value_g - mean)^2, with
    Student's t of G - 1 degrees of freedom. The parts are dealt out in the clusters' order, which is random
    in every split of the bench.
    """
    from scipy.special import stdtrit

    whole = measure(np.arange(len(clusters)))
    groups = min(groups, int(clusters.max()) + 1)
    if groups < 2:
        return [Value(*_metric_and_part(name), value, len(clusters)) for name, value in whole.items()]
    parts = [measure(np.flatnonzero(clusters % groups != group)) for group in range(groups)]
    values = []
    for name, value in whole.items():
        without = np.array([part[name] for part in parts])
        error = np.sqrt((groups - 1) / groups * np.sum((without - without.mean()) ** 2))
        half = float(stdtrit(groups - 1, 0.975) * error)
        ends = (value - half, value + half) if math.isfinite(half) else (None, None)
        values.append(Value(*_metric_and_part(name), value, len(clusters), *ends))
    return values


def _metric_and_part(name: str | tuple[str, str]) -> tuple[str, str]:
    return (name, "") if isinstance(name, str) else name
