"""AUROC and its neighbours against independent implementations, by hand, and by their invariances."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu
from sklearn.metrics import average_precision_score, roc_curve

from mfbench.measures import auroc, average_precision, fpr_at_95_tpr, placements

few_levels = st.integers(-4, 4).map(float) | st.just(-np.inf)
tied_scores = st.lists(few_levels, min_size=1, max_size=30).map(np.array)
MEASURES = [auroc, average_precision, fpr_at_95_tpr]


@given(tied_scores, tied_scores)
@settings(max_examples=200, deadline=None)
def test_auroc_is_mann_whitney_with_ties(scores_in, scores_out):
    u = mannwhitneyu(scores_in, scores_out).statistic
    assert auroc(scores_in, scores_out) == pytest.approx(u / (len(scores_in) * len(scores_out)), abs=1e-12)


@given(tied_scores, tied_scores)
@settings(deadline=None)
def test_auroc_of_negated_scores_is_the_complement(scores_in, scores_out):
    assert auroc(-scores_in, -scores_out) == pytest.approx(1 - auroc(scores_in, scores_out), abs=1e-12)


@pytest.mark.parametrize("measure", MEASURES)
@given(scores_in=tied_scores, scores_out=tied_scores)
@settings(max_examples=50, deadline=None)
def test_monotone_maps_change_nothing(measure, scores_in, scores_out):
    assert measure(np.exp(scores_in), np.exp(scores_out)) == measure(scores_in, scores_out)


@given(tied_scores, tied_scores)
@settings(deadline=None)
def test_placements_are_pairwise_shares_and_average_to_the_auroc(scores_in, scores_out):
    above = (scores_in[:, None] > scores_out) + 0.5 * (scores_in[:, None] == scores_out)
    v10, v01 = placements(scores_in, scores_out)
    np.testing.assert_allclose(v10, above.mean(axis=1), atol=1e-12)
    np.testing.assert_allclose(v01, above.mean(axis=0), atol=1e-12)
    assert v10.mean() == pytest.approx(auroc(scores_in, scores_out), abs=1e-12)
    assert v01.mean() == pytest.approx(auroc(scores_in, scores_out), abs=1e-12)


@given(tied_scores, tied_scores)
@settings(deadline=None)
def test_average_precision_is_scikit_learns(scores_in, scores_out):
    scores = np.maximum(np.concatenate([scores_in, scores_out]), -100)  # scikit-learn refuses infinities
    positive = np.arange(len(scores)) < len(scores_in)
    expected = average_precision_score(positive, scores)
    assert average_precision(scores_in, scores_out) == pytest.approx(expected, abs=1e-12)


@given(tied_scores, tied_scores)
@settings(deadline=None)
def test_fpr_at_95_tpr_is_read_off_the_roc_curve(scores_in, scores_out):
    scores = np.maximum(np.concatenate([scores_in, scores_out]), -100)
    positive = np.arange(len(scores)) < len(scores_in)
    fpr, tpr, _ = roc_curve(positive, scores, drop_intermediate=False)
    assert fpr_at_95_tpr(scores_in, scores_out) == pytest.approx(fpr[tpr >= 0.95 - 1e-9].min())


def test_by_hand():
    scores_in, scores_out = [0.9, 0.8, 0.4], [0.8, 0.1]
    assert auroc(scores_in, scores_out) == pytest.approx((2 + 1.5 + 1) / 6)
    assert fpr_at_95_tpr(scores_in, scores_out) == 0.5
    assert average_precision(scores_in, scores_out) == pytest.approx(1 / 3 + 2 / 3 / 3 + 3 / 4 / 3)


def test_minus_infinity_ranks_last_and_ties_with_itself():
    assert auroc([0.0, -np.inf], [-np.inf, -np.inf]) == 0.75


@pytest.mark.parametrize("measure", [*MEASURES, placements])
def test_nan_and_wrong_shapes_are_refused_by_name(measure):
    with pytest.raises(ValueError, match=r"scores_out holds NaN \(1 of 2\)"):
        measure([1.0], [0.0, np.nan])
    with pytest.raises(ValueError, match="scores_in must have shape"):
        measure([], [0.0])
    with pytest.raises(ValueError, match=r"not \(1, 2\)"):
        measure([[1.0, 2.0]], [0.0])


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_tensors_are_as_good_as_arrays(measure, dtype):
    scores = torch.arange(12, dtype=dtype, requires_grad=True)
    assert measure(scores[3:], scores[:5]) == measure(np.arange(3, 12), np.arange(5))


def test_fpr_keeps_95_of_a_hundred_and_no_more():
    """In-scores 1, ..., 100: the threshold that keeps 95 of them is 6; 94 would put it at 7, 96 at 5."""
    scores_in = np.arange(1.0, 101.0)
    assert fpr_at_95_tpr(scores_in, [5.0]) == 0.0
    assert fpr_at_95_tpr(scores_in, [6.0]) == 1.0
    assert fpr_at_95_tpr(scores_in, [4.5, 5.5, 6.5, 7.5]) == 0.5
