"""Sample quality: can generated samples be told from held-out data?

Question. How far is the distribution of a generator's samples from that of data it has not seen?

Needs. A generator; a data set whose test split holds at least as many samples as are drawn.

Measurement. `count` samples against the first `count` of the test split. Energy distance (the primary
metric), sliced Wasserstein distance of order 2 and squared maximum mean discrepancy (Gaussian kernel,
median heuristic on the held-out data; unbiased, as the energy distance) measure how far; precision,
density, recall and coverage say whether fidelity or diversity lacks; a classifier two-sample test says
whether anything is wrong at all. The floor is the ceiling row `held_out`: the validation split in place
of samples.

References. Székely and Rizzo 2013; Bonneel et al. 2015; Gretton et al. 2012; Naeem et al. 2020; Lopez-
Paz and Oquab 2017.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from numpy.typing import NDArray
from torch import Tensor

from mfbench import measures
from mfbench.contracts import (
    Clock,
    Dataset,
    EvaluationProtocol,
    GenerativeModel,
    Measurement,
    Metric,
    Record,
    Value,
)
from mfbench.errors import Unsupported, UserError
from mfbench.protocols.checked import checked_samples
from mfbench.protocols.counting import cost, count_evaluations
from mfbench.protocols.draws import Streams
from mfbench.protocols.energy import energy_to
from mfbench.protocols.sample_figures import draw, kept

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[Any]

TIMED = 1000
"""Samples that one timed call draws."""


class SampleQuality(EvaluationProtocol):
    """Distances of generated samples to held-out data."""

    kind: ClassVar[str] = "generator"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("energy_distance", "data units", "lower", primary=True, description="unbiased; 0 on average"),
        Metric("sliced_wasserstein", "data units", "lower", description="order 2, 512 projections"),
        Metric("mmd", "", "lower", description="squared, Gaussian kernel, unbiased"),
        Metric("c2st_accuracy", "", None, description="of a classifier; 0.5: samples and data look alike"),
        Metric("c2st_p", "", None, description="permutation p of that accuracy"),
        Metric("precision", "", "higher", description="samples within the support of the data"),
        Metric("density", "", None, description="how deep within it; 1 on average for the data's own law"),
        Metric("recall", "", "higher", description="data within the support of the samples"),
        Metric("coverage", "", "higher", description="data with a sample nearby"),
    )
    workload: ClassVar[str] = "draws 1,000 samples"

    def evaluate(  # type: ignore[override]
        self,
        method: GenerativeModel,
        data: Dataset,
        *,
        rng: torch.Generator,
        clock: Clock,
        count: int = 2000,
    ) -> Measurement:
        """Draw `count` samples and compare them with as many of `data.test`."""
        if count < 12:
            raise UserError(f"sample_quality: count is {count}; at least 12 samples are needed")
        if count > len(data.test):
            raise Unsupported(f"{count} samples are asked for, but the test split holds {len(data.test)}")
        streams = Streams(rng)
        clock.measure(lambda: method.sample(TIMED, rng=streams("samples")))
        if clock.timing_only:
            return Measurement()

        held_out = data.test.x[:count]
        with count_evaluations(method) as counter:
            samples = checked_samples(
                method.sample(count, rng=streams("samples")), (count, *data.shape), method
            )
        energy = energy_to(samples, held_out)
        nfe, notes = cost(counter, count)
        return Measurement(
            values=[energy.as_value("energy_distance"), *quality(samples, held_out, streams)],
            scores={"samples": energy.samples, "held_out": energy.held_out},
            arrays=kept(samples, held_out),
            nfe=nfe,
            notes=notes,
        )

    def draw(self, records: Sequence[Record], arrays: Sequence[Mapping[str, Array]]) -> dict[str, Figure]:
        """The samples of each generator."""
        return draw(records, arrays)


def quality(samples: Tensor, held_out: Tensor, streams: Streams) -> list[Value]:
    """All metrics but the primary one."""
    n = len(samples)
    overlap = measures.precision_recall_density_coverage(samples, held_out)
    told_apart = measures.c2st(samples, held_out, rng=streams("c2st"))
    accuracy = measures.wilson(round(told_apart.accuracy * told_apart.n), told_apart.n)
    projected = measures.sliced_wasserstein(samples, held_out, rng=streams("projections"))
    return [
        Value("sliced_wasserstein", "", projected, n),
        Value("mmd", "", measures.maximum_mean_discrepancy(samples, held_out), n),
        Value("c2st_accuracy", "", accuracy.value, told_apart.n, accuracy.low, accuracy.high),
        Value("c2st_p", "", told_apart.p_value, told_apart.n),
        Value("precision", "", overlap.precision, n),
        Value("density", "", overlap.density, n),
        Value("recall", "", overlap.recall, n),
        Value("coverage", "", overlap.coverage, n),
    ]
