"""How the supports of two sample sets overlap, seen through balls around nearest neighbours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mfbench.measures.convert import Array, Values, as_samples, same_dimension
from mfbench.measures.distances import squared_distances


@dataclass(frozen=True)
class SupportOverlap:
    """Precision, recall and coverage in [0, 1]; density >= 0, 1 on average for equal distributions."""

    precision: float
    recall: float
    density: float
    coverage: float


def precision_recall_density_coverage(samples: Values, reference: Values, *, k: int = 5) -> SupportOverlap:
    """Naeem et al. 2020, "Reliable fidelity and diversity metrics for generative models", Eq. 1-2 and 5-6.

    A ball around a point reaches to its k-th nearest neighbour in its own set, border excluded.
    precision: samples inside some reference ball; recall: reference points inside some sample ball;
    density: reference balls around a sample, over k; coverage: reference balls that hold a sample.
    """
    fake, real = as_samples(samples, "samples", k + 1), as_samples(reference, "reference", k + 1)
    same_dimension(fake, real)
    radii_real, radii_fake = _squared_radii(real, k), _squared_radii(fake, k)
    balls_around = np.zeros(len(fake), dtype=np.int64)
    recalled = np.zeros(len(real), dtype=bool)
    covered = np.zeros(len(real), dtype=bool)
    for rows, squared in squared_distances(fake, real):
        inside = squared < radii_real
        balls_around[rows] = inside.sum(axis=1)
        covered |= inside.any(axis=0)
        recalled |= (squared < radii_fake[rows, None]).any(axis=0)
    return SupportOverlap(
        precision=float(np.mean(balls_around > 0)),
        recall=float(np.mean(recalled)),
        density=float(np.mean(balls_around) / k),
        coverage=float(np.mean(covered)),
    )


def _squared_radii(x: Array, k: int) -> Array:
    """Squared distance of each sample to its k-th nearest neighbour; a point is not its own neighbour."""
    radii = np.empty(len(x))
    for rows, squared in squared_distances(x, x):
        squared[np.arange(len(squared)), np.arange(rows.start, rows.stop)] = np.inf
        radii[rows] = np.partition(squared, k - 1, axis=1)[:, k - 1]
    return radii
