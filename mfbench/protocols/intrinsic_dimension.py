"""Intrinsic dimension: how many dimensions does a method think that the data have around a point?

Question. On manifolds of known dimension embedded in a space of more, by how much is a method's estimate of
the local dimension wrong at held-out points?

Needs. A likelihood that estimates dimensions (`EstimatesDimension`), and a data set whose
`intrinsic_dimension` is known.

Measurement. At the points of the test split, error = estimated minus true dimension. The mean absolute error
is the primary metric; the mean error (the bias) says how much of it is systematic; the share of errors up to
one half says how often rounding would give the truth. Where the true dimension varies from point to point,
Spearman's rank correlation says whether the method would order the points, and error and bias are also given
for each dimension.

References. Levina and Bickel 2004; Kamkari et al. 2024 (FLIPD).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from mfbench import measures
from mfbench.contracts import (
    Clock,
    Dataset,
    EstimatesDimension,
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
from mfbench.protocols.dimension_figures import draw, kept
from mfbench.protocols.draws import Streams

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[Any]

TIMED = 1000
"""Points at which one timed call estimates the dimension."""


class IntrinsicDimension(EvaluationProtocol):
    """Error of the local intrinsic dimension against the known one."""

    kind: ClassVar[str] = "likelihood"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(
            "absolute_error", "dimensions", "lower", primary=True, description="mean absolute error", lowest=0
        ),
        Metric("bias", "dimensions", None, description="mean error: estimate minus truth"),
        Metric(
            "within_half",
            "",
            "higher",
            description="share of errors of at most one half",
            lowest=0,
            highest=1,
        ),
        Metric(
            "spearman",
            "",
            "higher",
            description="rank correlation with the true dimension",
            lowest=-1,
            highest=1,
        ),
    )
    ability: ClassVar[type | None] = EstimatesDimension
    workload: ClassVar[str] = "estimates the dimension at 1,000 points"

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
        if not isinstance(method, EstimatesDimension):
            raise Unsupported(f"{type(method).__name__} does not estimate dimensions")
        if count is not None and count < 2:
            raise UserError(f"intrinsic_dimension: count is {count}; two or more points are needed")
        x, streams = data.test.x[:count], Streams(rng)
        truth = checked_scores(data.intrinsic_dimension(x), len(x), data, "intrinsic_dimension")
        timed = x[torch.arange(TIMED, device=x.device) % len(x)]
        clock.measure(lambda: method.intrinsic_dimension(timed, rng=streams("estimates")))
        if clock.timing_only:
            return Measurement()

        with count_evaluations(method) as counter:
            estimates = method.intrinsic_dimension(x, rng=streams("estimates"))
        said = checked_scores(estimates, len(x), method, "intrinsic_dimension")
        nfe, notes = cost(counter, len(x))
        errors = np.abs(said - truth)
        return Measurement(accuracy(said, truth), {"points": errors}, kept(said, truth), nfe, notes)

    def draw(self, records: Sequence[Record], arrays: Sequence[Mapping[str, Array]]) -> dict[str, Figure]:
        """Histograms of each method's estimates, by true dimension."""
        return draw(records, arrays)


def accuracy(said: Array, truth: Array) -> list[Value]:
    """The metrics over all points and, where the truth varies, over those of each dimension."""
    hits = measures.wilson(int(np.count_nonzero(np.abs(said - truth) <= 0.5)), len(said))
    values = [
        *_errors("", said - truth),
        Value("within_half", "", hits.value, len(said), hits.low, hits.high),
    ]
    dimensions = np.unique(truth)
    if len(dimensions) == 1:
        return values
    for dimension in dimensions:
        values += _errors(f"dimension {dimension:g}", (said - truth)[truth == dimension])
    return [*values, Value("spearman", "", measures.spearman(said, truth), len(said))]


def _errors(part: str, error: Array) -> list[Value]:
    """Mean absolute and mean error with Student's interval."""
    means = {"absolute_error": measures.student(np.abs(error)), "bias": measures.student(error)}
    return [
        Value(metric, part, mean.value, len(error), mean.low, mean.high) for metric, mean in means.items()
    ]
