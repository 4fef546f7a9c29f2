"""Density accuracy: how far is a log-density from the true one?

Question. On data whose density is known, by how many nats is a method's log-density wrong at held-out
points?

Needs. A likelihood that gives a log-density (not only a score), and a data set with `log_density`.

Measurement. At the points of the test split, error = log p(x) of the method minus that of the data. The
root mean square is the primary metric; the mean error (the bias, negative for bounds from below) says
how much of it is systematic; Spearman's rank correlation with the truth says whether the method would
still rank well.

References. Tu et al. 2023, Eq. 23; for bounds see the method's `bound`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from mfbench import measures
from mfbench.contracts import (
    Clock,
    Dataset,
    EvaluationProtocol,
    Likelihood,
    Measurement,
    Metric,
    Record,
    Value,
)
from mfbench.errors import Unsupported, UserError
from mfbench.protocols.checked import checked_scores
from mfbench.protocols.counting import cost, count_evaluations
from mfbench.protocols.density_figures import draw, kept
from mfbench.protocols.draws import Streams

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[Any]

TIMED = 1000
"""Samples that one timed call scores."""


class DensityAccuracy(EvaluationProtocol):
    """Error of a log-density against the known one, in nats."""

    kind: ClassVar[str] = "likelihood"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(
            "rms_error", "nats", "lower", primary=True, description="root mean square of the error", lowest=0
        ),
        Metric("bias", "nats", None, description="mean error: method minus truth"),
        Metric(
            "spearman",
            "",
            "higher",
            description="rank correlation with the true log-density",
            lowest=-1,
            highest=1,
        ),
    )
    workload: ClassVar[str] = "scores 1,000 samples"

    def evaluate(  # type: ignore[override]
        self,
        method: Likelihood,
        data: Dataset,
        *,
        rng: torch.Generator,
        clock: Clock,
        count: int | None = None,
    ) -> Measurement:
        """Compare at the first `count` points of `data.test` (None: at all of them)."""
        if method.bound == "score":
            raise Unsupported(f"{type(method).__name__} only ranks; it gives no log-density to compare")
        if count is not None and count < 2:
            raise UserError(f"density_accuracy: count is {count}; two or more samples are needed")
        x, streams = data.test.x[:count], Streams(rng)
        timed = x[torch.arange(TIMED, device=x.device) % len(x)]
        clock.measure(lambda: method.log_prob(timed, rng=streams("scores")))
        if clock.timing_only:
            return Measurement()

        truth = checked_scores(data.log_density(x), len(x), data, "log_density")
        with count_evaluations(method) as counter:
            said = checked_scores(method.log_prob(x, rng=streams("scores")), len(x), method, "log_prob")
        contributions = rms_contributions(said - truth)
        nfe, notes = cost(counter, len(x))
        return Measurement(
            accuracy(said, truth, contributions), {"samples": contributions}, kept(said, truth), nfe, notes
        )

    def draw(self, records: Sequence[Record], arrays: Sequence[Mapping[str, Array]]) -> dict[str, Figure]:
        """Log-density of each method against the true one."""
        return draw(records, arrays)


def accuracy(said: Array, truth: Array, contributions: Array) -> list[Value]:
    """The three metrics, the means with Student's interval."""
    n = len(said)
    rms, bias = measures.student(contributions), measures.student(said - truth)
    return [
        Value("rms_error", "", rms.value, n, rms.low, rms.high),
        Value("bias", "", bias.value, n, bias.low, bias.high),
        Value("spearman", "", measures.spearman(said, truth), n),
    ]


def rms_contributions(error: Array) -> Array:
    """Per-example contributions whose mean is the root mean square r, and whose spread is r's (delta method).

    r + (e_i^2 - r^2) / (2 r); all infinite where an error is, all 0 where none is.
    """
    rms = math.sqrt(float(np.mean(error**2)))
    if rms == 0 or not math.isfinite(rms):
        return np.full(len(error), rms)
    contributions: Array = rms + (error**2 - rms**2) / (2 * rms)
    return contributions
