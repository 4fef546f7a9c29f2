"""What turned a defense, kept for others to try: the arrays of a pool, which a board publishes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mfbench.pools import AdversarialPool
from mfbench.protocols.robust_attacks import Campaign

Array = NDArray[Any]

TURNED = 0.5
"""An input whose share of right answers is below this is worth keeping."""


def pooled(campaign: Campaign, right: Mapping[str, Array], x: Tensor, y: Tensor) -> dict[str, Array]:
    """For each image x (n, ...) that is turned the input that is answered rightly least often.

    `right`: by attack, (n,), the share of right answers. Of attacks that are alike the first counts; one that
    did not try an image has nothing to keep.
    """
    tried = np.stack([attacked.tried.cpu().numpy() for attacked in campaign.attacks])
    shares = np.where(tried, np.stack([right[attacked.name] for attacked in campaign.attacks]), np.inf)
    found = torch.stack([attacked.x for attacked in campaign.attacks])
    turned = np.flatnonzero(shares.min(axis=0) < TURNED)
    rows = torch.from_numpy(turned).to(x.device)
    worst = torch.from_numpy(shares.argmin(axis=0)[turned]).to(x.device)
    return AdversarialPool.collect(x[rows], y[rows], found[worst, rows]).arrays()
