"""Are samples copies of training images? Their nearest training neighbours, beside held-out data's own.

Samples of the data's law are as far from the training set as held-out data are. Nearer samples are copied, or
blurred towards what many images share: look at the neighbours (Meehan, Chaudhuri and Dasgupta 2020).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mfbench import measures
from mfbench.contracts import Split, Value

Array = NDArray[Any]
Embedding = Callable[[Tensor], Tensor]
"""Images (n, ...) to points (n, d)."""

BATCH = 1024
"""Training images that are looked at together."""
NEAREST_HELD_OUT = 0.05
"""Share of held-out images whose distance to the training set counts as suspiciously small."""


@dataclass(frozen=True)
class Neighbours:
    """Of each query: the row (n,) of its nearest neighbour and the Euclidean distance (n,) to it, float64."""

    rows: Array
    distance: Array


@dataclass(frozen=True)
class Copies:
    """Nearest training images of samples and of held-out images, and nearest held-out images of samples."""

    samples: Neighbours
    held_out: Neighbours
    to_held_out: Neighbours

    @property
    def ratio(self) -> Array:
        """(n,): distance to the training set over distance to the held-out set; 1 for 0 / 0."""
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = self.samples.distance / self.to_held_out.distance
        filled: Array = np.nan_to_num(ratio, nan=1.0, posinf=np.inf)
        return filled

    def values(self, part: str) -> list[Value]:
        """`copying` with DeLong's interval and `copied` with Wilson's."""
        near, own = self.samples.distance, self.held_out.distance
        nearer = measures.delong(-near, -own)
        bound = np.quantile(own, NEAREST_HELD_OUT)
        share = measures.wilson(int(np.count_nonzero(near < bound)), len(near))
        return [
            Value("copying", part, nearer.value, len(near), nearer.low, nearer.high),
            Value("copied", part, share.value, len(near), share.low, share.high),
        ]


def copies(samples: Tensor, held_out: Tensor, train: Split, embed: Embedding) -> Copies:
    """By distances between embedded images; the training split is read once, batch by batch."""
    queries, count = torch.cat([embed(samples), embed(held_out)]), len(samples)
    found = nearest(queries, (embed(batch) for batch in train.batches(BATCH)))
    mine = Neighbours(found.rows[:count], found.distance[:count])
    own = Neighbours(found.rows[count:], found.distance[count:])
    return Copies(mine, own, nearest(queries[:count], iter([queries[count:]])))


def nearest(queries: Tensor, batches: Iterator[Tensor]) -> Neighbours:
    """The nearest neighbour of each query (n, d) among the rows of all batches (m, d), the first of equals.

    Found by squared distances in the precision of the data; the distance to what was found is exact.
    """
    best = queries.new_full((len(queries),), torch.inf)
    rows = torch.zeros(len(queries), dtype=torch.int64, device=queries.device)
    distance = best.double()
    norms, start = queries.square().sum(1), 0
    for batch in batches:
        squared = torch.addmm(norms[:, None] + batch.square().sum(1), queries, batch.T, alpha=-2)
        least, where = squared.min(dim=1)
        better = least < best
        exact = (queries[better].double() - batch[where[better]].double()).norm(dim=1)
        best[better], rows[better], distance[better] = least[better], where[better] + start, exact
        start += len(batch)
    return Neighbours(rows.cpu().numpy(), distance.cpu().numpy())
