"""Do neighbours share an attribute? Divergence and information from counts, bootstrap by person, shuffles.

The counts of an attribute are those of (a, a of the nearest neighbour): n00, n01, n10, n11, in this order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfbench import measures

Array = NDArray[Any]

AT_ONCE = 16
"""Resamples that are weighed together."""


@dataclass(frozen=True)
class Dependence:
    """Of each attribute, shape (..., k). p = p(a), q = p(a | a_nn = 0); kl = KL(p || q), nats; shift = q - p.

    information: I(a; a_nn) / H(a).
    """

    p: Array
    q: Array
    kl: Array
    shift: Array
    information: Array


def dependence(counts: Array) -> Dependence:
    """Of counts (..., k, 4), each of which may be a weighted one.

    Half an image is added to both sides of p and q (Jeffreys), so that the divergence stays finite where no
    neighbour of 0 is 1.
    """
    n00, n01, n10, n11 = np.moveaxis(counts.astype(np.float64), -1, 0)
    total = n00 + n01 + n10 + n11
    p = (n10 + n11 + 0.5) / (total + 1)
    q = (n10 + 0.5) / (n00 + n10 + 1)
    return Dependence(p, q, measures.bernoulli_kl(p, q), q - p, _information(counts.astype(np.float64)))


def _information(counts: Array) -> Array:
    """I(a; a_nn) / H(a) of counts (..., 4); 0 where a does not vary."""
    table = counts.reshape(*counts.shape[:-1], 2, 2)
    share = table / table.sum(axis=(-2, -1), keepdims=True)
    of_a, of_neighbour = share.sum(axis=-1), share.sum(axis=-2)
    entropy = _entropy(of_a)
    shared = entropy + _entropy(of_neighbour) - _entropy(share.reshape(counts.shape))
    information: Array = np.divide(shared, entropy, out=np.zeros_like(shared), where=entropy > 0).clip(
        min=0.0
    )
    return information


def _entropy(share: Array) -> Array:
    """In nats, over the last axis."""
    return np.asarray(-np.sum(share * np.log(share, where=share > 0, out=np.zeros_like(share)), axis=-1))


def counts_of(attributes: Array, neighbours: Array) -> Array:
    """(k, 4), of binary attributes (n, k) int8 and the rows (n,) of the nearest neighbours."""
    pairs = 2 * attributes + attributes[neighbours]
    return np.stack([np.count_nonzero(pairs == which, axis=0) for which in range(4)], axis=1)


def counts_by_cluster(attributes: Array, neighbours: Array, clusters: Array) -> Array:
    """(g, k, 4) float32: the same, person by person."""
    pairs = 2 * attributes + attributes[neighbours]
    people, k = int(clusters.max()) + 1, attributes.shape[1]
    counts = np.empty((people, k, 4), dtype=np.float32)
    for j in range(k):
        cells = clusters * 4 + pairs[:, j]
        counts[:, j] = np.bincount(cells, minlength=4 * people).reshape(people, 4)
    return counts


def resampled(counts: Array, resamples: int, rng: np.random.Generator) -> Dependence:
    """Of people (g, k, 4) drawn with replacement, (resamples, k). Who is whose neighbour is left as it is."""
    people = len(counts)
    flat = counts.reshape(people, -1)
    drawn = []
    for start in range(0, resamples, AT_ONCE):
        rows = min(AT_ONCE, resamples - start)
        weights = np.stack([_multiplicities(people, rng) for _ in range(rows)])
        drawn.append((weights @ flat).reshape(rows, *counts.shape[1:]))
    return dependence(np.concatenate(drawn))


def _multiplicities(people: int, rng: np.random.Generator) -> Array:
    """How often each is drawn, (g,) float32."""
    return np.bincount(rng.integers(0, people, people), minlength=people).astype(np.float32)


def shuffled(
    attributes: Array, neighbours: Array, clusters: Array | None, permutations: int, rng: np.random.Generator
) -> Array:
    """KL (permutations, k) where attributes have nothing to do with the embedding.

    They are dealt out anew among images or, where `clusters` are given, among people: all images of one get
    the attributes of another's, since what a person's images share makes fewer independent examples.
    """
    found = np.empty((permutations, attributes.shape[1]))
    for place in range(permutations):
        rows = rng.permutation(len(attributes)) if clusters is None else _donors(clusters, rng)
        found[place] = dependence(counts_of(attributes[rows], neighbours)).kl
    return found


def _donors(clusters: Array, rng: np.random.Generator) -> Array:
    """For each image (n,) an image of the person that its own is given the attributes of."""
    order = np.argsort(clusters, kind="stable")
    sizes = np.bincount(clusters)
    starts = np.cumsum(sizes) - sizes
    place = np.empty(len(clusters), dtype=np.int64)
    place[order] = np.arange(len(clusters)) - starts[clusters[order]]
    other = rng.permutation(len(sizes))[clusters]
    return np.asarray(order[starts[other] + place % sizes[other]])
