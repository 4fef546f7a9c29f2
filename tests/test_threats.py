"""Where patches lie, and what counts as a breach of a threat."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from mfbench import Threat, UserError, breaches, patch_masks

FAMILIES = ("forehead", "centre", "top", "random", "worst_of_n")
SIZES = (8, 28, 32, 64)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def boxes(masks):
    """(top, left, rows, columns) of each; fails where a mask is no rectangle."""
    found = []
    for mask in masks:
        rows, columns = mask.any(1).nonzero()[:, 0], mask.any(0).nonzero()[:, 0]
        assert int(mask.sum()) == len(rows) * len(columns) > 0
        found.append((int(rows[0]), int(columns[0]), len(rows), len(columns)))
    return found


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("size", SIZES)
def test_an_eighth_of_the_image_twice_as_wide_as_high(family, size):
    masks = patch_masks(family, (1, size, size), rng=seeded())
    assert masks.dtype == torch.bool
    assert masks.shape == (9 if family == "worst_of_n" else 1, size, size)
    assert {box[2:] for box in boxes(masks)} == {(size // 4, size // 2)}
    assert float(masks.double().mean()) == 0.125


def test_the_paper_s_patch():
    assert boxes(patch_masks("forehead", (3, 64, 64))) == [(9, 16, 16, 32)]
    assert boxes(patch_masks("top", (3, 64, 64))) == [(0, 16, 16, 32)]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_larger_patch_holds_the_smaller(family):
    """So that accuracy under nested patches must not rise."""
    areas = (0.02, 0.05, 0.125, 0.2, 0.3, 0.6, 0.9, 1.0)
    found = [patch_masks(family, (1, 28, 30), area=area, rng=seeded(3)) for area in areas]
    for small, large in pairwise(found):
        assert not bool((small & ~large).any())
    assert bool(found[-1].all())


def test_nine_positions_reach_from_edge_to_edge():
    found = boxes(patch_masks("worst_of_n", (1, 28, 28)))
    assert {box[0] for box in found} == {0, 11, 21}
    assert {box[1] for box in found} == {0, 7, 14}
    assert bool(patch_masks("worst_of_n", (1, 28, 28), positions=16).any(0).all())


def test_a_random_place_is_uniform_and_drawn_from_its_generator():
    rng = seeded()
    tops = [boxes(patch_masks("random", (1, 6, 8), area=1 / 3, aspect=3, rng=rng))[0][0] for _ in range(600)]
    counts = torch.bincount(torch.tensor(tops))
    assert len(counts) == 5
    assert counts.min() > 80
    once, again = (patch_masks("random", (1, 28, 28), rng=seeded(7)) for _ in range(2))
    assert torch.equal(once, again)


@pytest.mark.parametrize(("aspect", "box"), [(1, (10, 10)), (0.5, (14, 7)), (8, (4, 28)), (100, (4, 28))])
def test_other_shapes_keep_the_area(aspect, box):
    assert boxes(patch_masks("centre", (1, 28, 28), aspect=aspect))[0][2:] == box


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"family": "forhead"}, "forhead.*did you mean.*forehead"),
        ({"area": 0.0}, "area = 0: a share"),
        ({"area": 1.5}, "area = 1.5: a share"),
        ({"area": 1e-4}, "less than a pixel"),
        ({"aspect": -1.0}, "aspect = -1: width over height"),
        ({"family": "worst_of_n", "positions": 7}, "7 positions make no grid"),
        ({"family": "worst_of_n", "positions": 0}, "0 positions make no grid"),
        ({"family": "random"}, "give rng"),
    ],
)
def test_masks_that_cannot_be(given, said):
    with pytest.raises(UserError, match=said):
        patch_masks(**{"family": "centre", "shape": (1, 28, 28), **given})


def test_breaches():
    x = torch.full((6, 2, 4, 4), 0.5)
    masks = torch.zeros(2, 4, 4, dtype=torch.bool)
    masks[0, :2], masks[1, 2:] = True, True
    changed = x.clone()
    changed[0, :, :2] = 1.0  # inside one mask
    changed[1, 0, 0, 0] = changed[1, 0, 3, 3] = 0.6  # inside both, but of no single one
    changed[2, 0, 3] = 1.01  # too bright
    changed[3, 1, 0, 0] = float("nan")
    changed[4, :, 2:] = 0.0
    assert breaches(x, changed, Threat(masks)).tolist() == [False, True, True, True, False, False]
    assert breaches(x, changed, Threat()).tolist() == [False, False, True, True, False, False]
    assert breaches(x, changed, Threat(masks, radius=0.2)).tolist() == [True, True, True, True, True, False]
    assert not breaches(x, x + 0.1, Threat(radius=0.1)).any()
