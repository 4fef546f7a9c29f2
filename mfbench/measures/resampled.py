"""Bootstrap distributions of ranking measures that have no standard error in closed form."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from mfbench.measures.convert import Array, Generator, Values, as_scores, numpy_generator
from mfbench.measures.intervals import Interval

Counts = NDArray[np.int64]

_BATCH = 2**22
"""Elements of a (resamples, levels) table computed at once."""


def ranking_bootstrap(
    pairs: Sequence[tuple[Values, Values]], *, rng: Generator, resamples: int = 500
) -> tuple[Array, Array]:
    """`average_precision` and `fpr_at_95_tpr` of resampled scores, both (pairs, resamples).

    pairs: (scores_in, scores_out) for each of K sets of out-examples. The in-examples of all pairs are the
    same examples in the same order (their scores may differ), so they are resampled together; in and out
    examples are resampled apart, each to its own number.
    """
    generator = numpy_generator(rng)
    tables = [_Levels(scores_in, scores_out) for scores_in, scores_out in pairs]
    precision = np.empty((len(tables), resamples))
    accepted = np.empty((len(tables), resamples))
    for rows in _batches(resamples, max(table.size for table in tables)):
        drawn_in = generator.integers(0, tables[0].count_in, (rows.stop - rows.start, tables[0].count_in))
        for k, table in enumerate(tables):
            drawn_out = generator.integers(0, table.count_out, (len(drawn_in), table.count_out))
            precision[k, rows], accepted[k, rows] = table.measures(drawn_in, drawn_out)
    return precision, accepted


def percentile(value: float, resampled: Array, level: float = 0.95) -> Interval:
    """A number with the percentile interval of its bootstrap distribution (resamples,)."""
    low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2])
    error = float(np.std(resampled, ddof=1))
    return Interval(value, min(float(low), value), max(float(high), value), error, "bootstrap (percentile)")


class _Levels:
    """Which of the distinct scores, highest first, each example has: resamples are counted level by level."""

    def __init__(self, scores_in: Values, scores_out: Values) -> None:
        given_in, given_out = as_scores(scores_in, "scores_in"), as_scores(scores_out, "scores_out")
        self.count_in, self.count_out = len(given_in), len(given_out)
        distinct, rank = np.unique(np.concatenate([given_in, given_out]), return_inverse=True)
        self.size = len(distinct)
        highest_first = self.size - 1 - rank
        self.level_in, self.level_out = highest_first[: self.count_in], highest_first[self.count_in :]

    def measures(self, drawn_in: Counts, drawn_out: Counts) -> tuple[Array, Array]:
        """Average precision and FPR at 95 % TPR, (rows,) each, of examples drawn by index, (rows, count)."""
        gained = self._counts(self.level_in[drawn_in])
        true = np.cumsum(gained, axis=1)
        false = np.cumsum(self._counts(self.level_out[drawn_out]), axis=1)
        share = true / np.maximum(true + false, 1)
        kept = np.argmax(true >= -(-95 * self.count_in // 100), axis=1)
        return (gained * share).sum(1) / self.count_in, false[np.arange(len(false)), kept] / self.count_out

    def _counts(self, levels: Counts) -> Counts:
        rows = np.arange(len(levels))[:, None] * self.size
        counts: Counts = np.bincount((levels + rows).ravel(), minlength=len(levels) * self.size)
        return counts.reshape(len(levels), self.size)


def _batches(total: int, width: int) -> Iterator[slice]:
    step = max(1, _BATCH // width)
    for start in range(0, total, step):
        yield slice(start, min(start + step, total))
