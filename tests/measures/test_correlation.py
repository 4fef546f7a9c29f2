"""Spearman's correlation by hand and at its edges."""

import numpy as np
import pytest
import torch

from mfbench.measures import spearman


def test_by_hand_with_ties():
    # ranks 1, 2.5, 2.5, 4 against 1, 2, 3, 4
    assert spearman([1, 5, 5, 9], [0, 1, 2, 3]) == pytest.approx(4.5 / np.sqrt(4.5 * 5.0))


def test_monotone_maps_and_infinities_only_count_by_rank():
    a = torch.tensor([-torch.inf, -3.0, 0.5, 2.0, torch.inf])
    assert spearman(a, torch.exp(torch.arange(5.0))) == pytest.approx(1.0)
    assert spearman(a, -torch.arange(5.0)) == pytest.approx(-1.0)


def test_a_constant_has_no_ranks():
    assert np.isnan(spearman([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]))


def test_unpaired_values_are_refused():
    with pytest.raises(ValueError, match="two or more pairs"):
        spearman([1.0, 2.0], [1.0, 2.0, 3.0])
