"""Rank correlation."""

from __future__ import annotations

from mfbench.measures.convert import Values, as_scores


def spearman(a: Values, b: Values) -> float:
    """Spearman's rank correlation in [-1, 1] of paired values (n,), n >= 2; ties share their mean rank.

    Infinities are ranked like any number; NaN where one side is constant, since no rank is then defined.
    """
    from scipy.stats import rankdata, spearmanr

    a, b = as_scores(a, "a"), as_scores(b, "b")
    if len(a) != len(b) or len(a) < 2:
        raise ValueError(f"spearman needs two or more pairs, not {len(a)} and {len(b)} values")
    if a.min() == a.max() or b.min() == b.max():
        return float("nan")
    return float(spearmanr(rankdata(a), rankdata(b)).statistic)
