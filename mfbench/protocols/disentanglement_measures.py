"""The metrics of `disentanglement`: from codes, messages and factors of held-out images to values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mfbench import measures
from mfbench.contracts import Value
from mfbench.measures.factors import histogram_bins
from mfbench.protocols.clusters import by_cluster, jackknife, mean_value

Array = NDArray[Any]

ACTIVE = 0.01
"""Variance of a code above which its dimension is active (Burda et al. 2016)."""
FEWEST = 10
"""Images of a sort, fewer of which are not reported apart."""


@dataclass(frozen=True)
class Told:
    """Held-out images as a method tells them: codes (n, d), message (n, length), factors (n, k).

    clusters (n,): which images are of one example; see `clusters.clusters_of`.
    """

    codes: Array
    message: Array
    factors: Array
    clusters: Array

    def rows(self, rows: Array) -> Told:
        """These images."""
        return Told(self.codes[rows], self.message[rows], self.factors[rows], self.clusters[rows])


def gap_contributions(codes: Array, factors: Array) -> Array:
    """(n,) contributions whose mean is the mutual information gap, and whose spread is its (delta method).

    With pmi_i the pointwise information of image i about factor v in the code that tells most of it less that
    in the code that tells second most, and s_i = -log p(v_i): gap + (pmi_i - gap s_i) / H(v), averaged over
    factors, is the gap's influence function for given histogram edges and order of codes.
    """
    binned = histogram_bins(codes)
    total: Array = np.zeros(len(codes))
    for factor in factors.T:
        surprise = _surprisal(factor)
        pointwise = np.stack([pointwise_information(code, factor) for code in binned.T])
        second, first = np.argsort(pointwise.mean(axis=1), kind="stable")[-2:]
        apart = pointwise[first] - pointwise[second]
        gap = apart.mean() / surprise.mean()
        total += gap + (apart - gap * surprise) / surprise.mean()
    total /= factors.shape[1]
    return total


def pointwise_information(a: Array, b: Array) -> Array:
    """log p(a, b) / (p(a) p(b)) of each pair of labels, (n,): their mean is the mutual information, nats."""
    return _surprisal(a) + _surprisal(b) - _surprisal(_pairs(a, b))


def _surprisal(labels: Array) -> Array:
    """-log of the share of each label, (n,)."""
    _, inverse, counts = np.unique(labels, return_inverse=True, return_counts=True)
    surprisal: Array = -np.log(counts[inverse.ravel()] / len(labels))
    return surprisal


def _pairs(a: Array, b: Array) -> Array:
    """A label for each pair of labels."""
    left, right = (np.unique(labels, return_inverse=True)[1].ravel() for labels in (a, b))
    pairs: Array = left * (right.max() + 1) + right
    return pairs


def information_table(codes: Array, factors: Array) -> Array:
    """I(code; factor) / H(factor), (d, k), from 20-bin histograms."""
    binned = histogram_bins(codes)
    table = [[pointwise_information(code, factor).mean() for factor in factors.T] for code in binned.T]
    shares: Array = np.array(table) / [_surprisal(factor).mean() for factor in factors.T]
    return shares


def primary(told: Told) -> tuple[Value, Array]:
    """MIG with its interval, and its contributions by example."""
    contributions = gap_contributions(told.codes, told.factors)
    return mean_value("mig", "", contributions, told.clusters), by_cluster(contributions, told.clusters)


def of_codes(told: Told, groups: int) -> list[Value]:
    """What is cheap to compute of codes and factors."""
    several = told.factors.shape[1] > 1

    def measure(rows: Array) -> dict[str, float]:
        codes, factors = told.codes[rows], told.factors[rows]
        found = {
            "sap": measures.separated_attribute_predictability(codes, factors),
            "explicitness": measures.explicitness(codes, factors),
            "active_dimensions": float(np.count_nonzero(np.var(codes, axis=0) > ACTIVE)),
        }
        if several:
            mec = measures.infomec(codes, factors, rng=np.random.default_rng(0))
            found |= {
                "modularity": measures.modularity(codes, factors),
                "factor_vae": measures.factor_vae_score(codes, factors),
                "infom": mec.modularity,
                "infoe": mec.explicitness,
                "infoc": mec.compactness,
            }
        return found

    return jackknife(measure, told.clusters, groups)


def of_trees(told: Told, at_most: int, groups: int) -> list[Value]:
    """DCI on the first `at_most` images: gradient boosted trees are slow."""
    some = told.rows(np.arange(min(at_most, len(told.codes))))

    def measure(rows: Array) -> dict[str, float]:
        found = measures.dci(some.codes[rows], some.factors[rows])
        return {
            "dci_disentanglement": found.disentanglement,
            "dci_completeness": found.completeness,
            "dci_informativeness": found.informativeness,
        }

    return jackknife(measure, some.clusters, groups)


def of_messages(told: Told, groups: int) -> list[Value]:
    """Compositionality of the message."""

    def measure(rows: Array) -> dict[str, float]:
        factors, message = told.factors[rows], told.message[rows]
        found = {"topographic_similarity": measures.topographic_similarity(factors, message)}
        if factors.shape[1] > 1:
            found["posdis"] = measures.positional_disentanglement(factors, message)
            found["bosdis"] = measures.bag_of_symbols_disentanglement(factors, message, end=None)
        return found

    return jackknife(measure, told.clusters, groups)


def by_combination(train: Array, truth: Array) -> dict[str, Array]:
    """Which held-out images (n,) show combinations of values that training images (m, k) have, and which show
    others; nothing where fewer than `FEWEST` are of one sort.
    """
    known = {row.tobytes() for row in np.unique(train, axis=0)}
    seen = np.array([row.tobytes() in known for row in truth])
    if min(seen.sum(), (~seen).sum()) < FEWEST:
        return {}
    return {"seen combinations": seen, "unseen combinations": ~seen}


def of_grid(
    assignment: measures.GridAssignment, told: Told, names: tuple[str, ...], sorts: Mapping[str, Array]
) -> list[Value]:
    """How often the message says the factors right, under an assignment made on validation images."""
    right = assignment.correct(told.message, told.factors)
    joint, mean = right.all(axis=1).astype(float), right.mean(axis=1)
    return [
        *_whole_and_sorts("grid_accuracy", joint, told, sorts),
        *_whole_and_sorts("factor_accuracy", mean, told, sorts),
        *(
            mean_value("factor_accuracy", name, column.astype(float), told.clusters)
            for name, column in zip(names, right.T)
        ),
    ]


def reconstruction(images: Tensor, truth: Tensor, told: Told, sorts: Mapping[str, Array]) -> list[Value]:
    """Mean square error a pixel of what codes are decoded to."""
    errors = (images - truth).double().square().flatten(1).mean(dim=1).cpu().numpy()
    return _whole_and_sorts("reconstruction", errors, told, sorts)


def _whole_and_sorts(metric: str, each: Array, told: Told, sorts: Mapping[str, Array]) -> list[Value]:
    """The mean of (n,) over all images, and over those of each sort."""
    values = [mean_value(metric, "", each, told.clusters)]
    for part, rows in sorts.items():
        clusters = np.unique(told.clusters[rows], return_inverse=True)[1].ravel()
        values.append(mean_value(metric, part, each[rows], clusters))
    return values
