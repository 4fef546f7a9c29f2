"""What became of edits, as an independent classifier sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfbench.contracts import Value
from mfbench.protocols.clusters import mean_value

Array = NDArray[Any]

RARE = 0.5
"""Lift below which two values avoid each other: they meet half as often as independent ones would."""
LEAST = 20
"""Edits of a sort below which no share of them is given."""


@dataclass(frozen=True)
class Outcomes:
    """Of n images and k attributes: row i, column j is the edit of attribute j of image i.

    truth (n, k); target (n, k): the value that was asked for; seen (n, k): what the classifier says of the
    images themselves, unedited (n, k): of their reconstructions, edited (n, k, k): of attribute l after the
    edit of attribute j, [:, j, l]. outside (n, k): share of the squared change outside of the attribute's
    region, NaN where that is not known or nothing changed.
    """

    truth: Array
    target: Array
    seen: Array
    unedited: Array
    edited: Array
    outside: Array
    clusters: Array
    names: tuple[str, ...]

    @property
    def success(self) -> Array:
        """Whether the classifier's answer flips to the target, (n, k).

        Where it says the target of the unedited reconstruction already, nothing was achieved: a decoder that
        always gives one image would otherwise succeed with half of its edits.
        """
        own = np.einsum("njj->nj", self.edited)
        return np.asarray((own == self.target) & (self.unedited != self.target), dtype=np.float64)

    @property
    def flipped(self) -> Array:
        """Whether its answer is another one than of the unedited reconstruction, (n, k)."""
        own = np.einsum("njj->nj", self.edited)
        return np.asarray(own != self.unedited, dtype=np.float64)

    def preserved(self, reference: Array) -> Array:
        """Share of the other attributes told as in `reference` (n, k), (n, k); 1 without others."""
        same = (self.edited == reference[:, None, :]).astype(np.float64)
        k = same.shape[1]
        if k == 1:
            return np.ones(same.shape[:2])
        kept: Array = (same.sum(axis=2) - np.einsum("njj->nj", same)) / (k - 1)
        return kept

    @property
    def quality(self) -> Array:
        """Success times the share of the others preserved, relative to the reconstruction, (n, k)."""
        return self.success * self.preserved(self.unedited)

    def per_edit(self) -> dict[str, Array]:
        """Metric -> (n, k)."""
        return {
            "edit_quality": self.quality,
            "success": self.success,
            "preserved": self.preserved(self.unedited),
            "preserved_truth": self.preserved(self.truth),
            "flipped": self.flipped,
            "reconstruction_agreement": (self.unedited == self.truth).astype(np.float64),
            "classifier_accuracy": (self.seen == self.truth).astype(np.float64),
        }

    def values(self, left_out: tuple[str, ...]) -> list[Value]:
        """All metrics over all attributes and for each; where some were left out, for both groups."""
        found = []
        groups = {"": list(range(len(self.names)))}
        if left_out:
            groups["left out mean"] = [j for j, name in enumerate(self.names) if name in left_out]
            groups["given mean"] = [j for j, name in enumerate(self.names) if name not in left_out]
        groups |= {name: [j] for j, name in enumerate(self.names)}
        for metric, table in self.per_edit().items():
            for part, columns in groups.items():
                if columns:
                    mean = table[:, columns].mean(axis=1)
                    found.append(mean_value(metric, part, mean, self.clusters))
        return [*found, *self._outside(), *self._directions()]

    def _outside(self) -> list[Value]:
        groups = {"": list(range(len(self.names)))} | {name: [j] for j, name in enumerate(self.names)}
        return [
            value
            for part, columns in groups.items()
            for value in self.share("change_outside", part, self.outside, columns)
        ]

    def _directions(self) -> list[Value]:
        """Success where the attribute rises, and where it falls."""
        rises = self.target > self.truth
        return [
            *self.of_sort("success", "added", rises),
            *self.of_sort("success", "removed", ~rises),
        ]

    def of_sort(self, metric: str, part: str, which: Array) -> list[Value]:
        """The metric among the edits (n, k) chosen; nothing where they are fewer than `LEAST`."""
        table = np.where(which, self.per_edit()[metric], np.nan)
        return self.share(metric, part, table, list(range(len(self.names))))

    def share(self, metric: str, part: str, table: Array, columns: list[int]) -> list[Value]:
        """Mean of what is a number in these columns of a table (n, k)."""
        chosen = table[:, columns]
        there = ~np.isnan(chosen)
        if there.sum() < LEAST:
            return []
        rows = np.repeat(self.clusters[:, None], len(columns), axis=1)[there]
        numbers = np.unique(rows, return_inverse=True)[1].ravel()
        return [mean_value(metric, part, chosen[there], numbers)]


def met_in_training(train: Array, truth: Array, target: Array) -> tuple[Array, Array]:
    """Whether an edit makes a pair of values that training images never show, or rarely: (n, k) bool each.

    Rarely: less than `RARE` times as often as if the two attributes were independent (and at least once).
    """
    n, k = truth.shape
    least = np.full((n, k), np.inf)
    for j in range(k):
        for other in range(k):
            if other != j:
                lift = _lift(train[:, j], train[:, other])
                pairs = [lift.get(pair, 0.0) for pair in zip(target[:, j].tolist(), truth[:, other].tolist())]
                least[:, j] = np.minimum(least[:, j], pairs)
    return least == 0, (least > 0) & (least < RARE)


def _lift(a: Array, b: Array) -> dict[tuple[int, int], float]:
    """p(a, b) / (p(a) p(b)) of the pairs of values that occur."""
    pairs, counts = np.unique(np.stack([a, b], axis=1), axis=0, return_counts=True)
    of_a, of_b = (dict(zip(*map(np.ndarray.tolist, np.unique(x, return_counts=True)))) for x in (a, b))
    return {
        (left, right): len(a) * count / (of_a[left] * of_b[right])
        for (left, right), count in zip(pairs.tolist(), counts.tolist())
    }
