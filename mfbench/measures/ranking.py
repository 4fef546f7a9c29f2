"""How well scores tell in-distribution from out-distribution examples.

Every function takes `(scores_in, scores_out)`, shapes (m,) and (n,): higher = more in-distribution, ties
count half, infinities are legal, NaN is refused (ValueError). In-distribution is the positive class.
"""

from __future__ import annotations

import numpy as np

from mfbench.measures.convert import Array, Values, as_scores


def auroc(scores_in: Values, scores_out: Values) -> float:
    """P(in > out) + P(in = out) / 2, in [0, 1]: the area under the ROC curve (Mann-Whitney)."""
    ordered_in = np.sort(as_scores(scores_in, "scores_in"))
    ordered_out = np.sort(as_scores(scores_out, "scores_out"))
    return float(np.mean(share_below(ordered_in, ordered_out)))


def average_precision(scores_in: Values, scores_out: Values) -> float:
    """Sum of precision times the increase of recall over all thresholds, in (0, 1] (AUPR-in)."""
    from sklearn.metrics import average_precision_score

    scores_in, scores_out = as_scores(scores_in, "scores_in"), as_scores(scores_out, "scores_out")
    _, ranks = np.unique(np.concatenate([scores_in, scores_out]), return_inverse=True)  # -inf becomes legal
    positive = np.arange(len(ranks)) < len(scores_in)
    return float(average_precision_score(positive, ranks))


def fpr_at_95_tpr(scores_in: Values, scores_out: Values) -> float:
    """Share of out-examples accepted (score >= threshold) by the highest threshold that keeps 95 % of in."""
    ordered = np.sort(as_scores(scores_in, "scores_in"))
    accepted = -(-95 * len(ordered) // 100)  # ceil(0.95 m) in integers: 0.95 has no exact binary form
    threshold = ordered[len(ordered) - accepted]
    return float(np.mean(as_scores(scores_out, "scores_out") >= threshold))


def placements(scores_in: Values, scores_out: Values) -> tuple[Array, Array]:
    """DeLong's structural components: V10 (m,), one an in-example, and V01 (n,), one an out-example.

    V10[i] is the share of out-examples below in-example i, V01[j] that of in-examples above out-example j
    (ties half). The mean of either is the AUROC; its variance is var(V10) / m + var(V01) / n
    (DeLong, DeLong and Clarke-Pearson 1988). Two sorts: O((m + n) log(m + n)).
    """
    scores_in, scores_out = as_scores(scores_in, "scores_in"), as_scores(scores_out, "scores_out")
    order_in, order_out = np.argsort(scores_in), np.argsort(scores_out)
    ordered_in, ordered_out = scores_in[order_in], scores_out[order_out]
    v10, v01 = np.empty(len(scores_in)), np.empty(len(scores_out))
    v10[order_in] = share_below(ordered_in, ordered_out)
    v01[order_out] = 1 - share_below(ordered_out, ordered_in)
    return v10, v01


def share_below(queries: Array, ordered: Array) -> Array:
    """Share of `ordered` (ascending) below each query, ties half; fastest where queries ascend too."""
    below = np.searchsorted(ordered, queries, side="left")
    up_to = np.searchsorted(ordered, queries, side="right")
    share: Array = (below + up_to) / (2 * len(ordered))
    return share
