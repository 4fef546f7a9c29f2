"""Every image that is turned leaves its worst input, and a board's figures.npz is a pool."""

from __future__ import annotations

import numpy as np
import torch

from mfbench import AdversarialPool
from mfbench.protocols.robust_attacks import Attacked, Campaign
from mfbench.protocols.robust_pool import pooled


def test_the_worst_input_of_each_image_that_is_turned(tmp_path):
    x = torch.rand(5, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    y = torch.tensor([0, 1, 2, 3, 4])
    everywhere = torch.ones(5, dtype=torch.bool)
    later = torch.tensor([True, True, False, True, True])
    campaign = Campaign([Attacked("a", 1 - x, everywhere), Attacked("b", x / 2, later)], notes=[])
    right = {"a": np.array([1.0, 0.4, 0.0, 0.3, 0.6]), "b": np.array([1.0, 0.1, 0.0, 0.3, 0.9])}
    arrays = pooled(campaign, right, x, y)
    np.savez(tmp_path / "figures.npz", **{f"cell/{name}": array for name, array in arrays.items()})
    found, rows = AdversarialPool.read(tmp_path / "figures.npz").candidates(x, y)
    kept = dict(zip(rows.tolist(), found))
    assert sorted(kept) == [1, 2, 3]
    assert torch.equal(kept[1], x[1] / 2)
    assert torch.equal(kept[2], 1 - x[2])
    assert torch.equal(kept[3], 1 - x[3])


def test_where_nothing_is_turned_nothing_is_kept():
    x = torch.rand(2, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    campaign = Campaign([Attacked("a", 1 - x, torch.ones(2, dtype=torch.bool))], notes=[])
    assert pooled(campaign, {"a": np.ones(2)}, x, torch.zeros(2, dtype=torch.int64)) == {}
