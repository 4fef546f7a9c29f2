"""The nearest other point of every point, block by block: 200,000 points of 512 dimensions in far below 4 GB.

Two blocks of rows meet at a time, so that what is held beyond the points themselves and their centred copy
does not grow with their number: `ROWS` x `COLUMNS` distances and as many marks of what is excluded.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mfbench.errors import Unsupported

ROWS, COLUMNS = 2048, 8192
"""Of one block of distances: 64 MiB in float32."""


def nearest_others(points: Tensor, identity: Tensor | None = None) -> Tensor:
    """Row (n,) int64 of the nearest other of points (n, d), Euclidean; the first of equals.

    A point is not its own neighbour. Where `identity` (n,) is given, neither is any point of its identity;
    Unsupported where some point has no neighbour left.
    """
    centred = points - points.mean(dim=0)  # so that the products below lose no digits to a common shift
    norms = centred.square().sum(dim=1)
    nearest = torch.full((len(points),), -1, dtype=torch.int64, device=points.device)
    for start in range(0, len(points), ROWS):
        rows = slice(start, min(start + ROWS, len(points)))
        nearest[rows] = _nearest(centred, norms, identity, rows)
    if bool((nearest < 0).any()):
        raise Unsupported("an image has no neighbour of another identity: two people or more are needed")
    return nearest


def _nearest(points: Tensor, norms: Tensor, identity: Tensor | None, rows: slice) -> Tensor:
    """Of the points in these rows."""
    mine = points[rows]
    best = torch.full((len(mine),), torch.inf, device=points.device, dtype=points.dtype)
    found = torch.full((len(mine),), -1, dtype=torch.int64, device=points.device)
    for start in range(0, len(points), COLUMNS):
        stop = min(start + COLUMNS, len(points))
        apart = torch.addmm(norms[start:stop], mine, points[start:stop].T, alpha=-2)  # less the own norm
        if identity is not None:
            apart.masked_fill_(identity[rows][:, None] == identity[start:stop], torch.inf)
        first = max(rows.start, start)
        own = torch.arange(first, max(first, min(rows.stop, stop)), device=points.device)
        apart[own - rows.start, own - start] = torch.inf
        least, where = apart.min(dim=1)
        better = least < best
        best[better], found[better] = least[better], where[better] + start
    return found
