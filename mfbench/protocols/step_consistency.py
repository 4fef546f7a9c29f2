"""Step consistency: how far does a sampler stray when its steps grow?

Question. A sampler carries the same x_T ~ N(0, I) to t = 0 in steps of h. How far does it end from the
exact solution of the probability-flow ODE, and from its own result at h = 1? How good are the samples as
samples?

Needs. A sampler; a diffusion model (`generator`), trained or exact; a reference sampler that solves the
ODE to high accuracy by a method of another family.

Measurement. Every sampler at every step is given the same x_T, in order. Deterministic samplers:
Euclidean distance per sample, in data space, to the reference's end point (mean: the primary metric; rms
and median beside it) and to the sampler's own end point at h = 1. All samplers: energy distance of the
samples to held-out data, beside its floor, the validation split against the test split. NFE: rows sent
through the network a sample. One RK4 step costs four evaluations where one DDIM step costs one, so the
figures show equal h and equal NFE. Of images also PSNR, SSIM and LPIPS to the same two end points, and how
often a classifier gives both the same label.

References. Tu et al. 2023, Fig. 6 to 8; Székely and Rizzo 2013; Wang et al. 2004 (SSIM); Zhang et al. 2018
(LPIPS).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import quantile_test
from torch import Tensor

from mfbench import measures
from mfbench.contracts import (
    Clock,
    Dataset,
    Defense,
    DiffusionModel,
    EvaluationProtocol,
    Measurement,
    Metric,
    PredictsAttributes,
    Record,
    Ref,
    Sampler,
    Split,
    Value,
)
from mfbench.errors import Unsupported, UserError
from mfbench.protocols.checked import checked_samples
from mfbench.protocols.counting import CountingPredictor
from mfbench.protocols.draws import Streams
from mfbench.protocols.end_points import EndPoints, Ends
from mfbench.protocols.energy import energy_to
from mfbench.protocols.sample_figures import kept
from mfbench.protocols.step_attributes import METRICS as ATTRIBUTE_METRICS
from mfbench.protocols.step_attributes import flips
from mfbench.protocols.step_figures import draw
from mfbench.protocols.step_findings import findings
from mfbench.protocols.step_images import METRICS, agreement, likeness
from mfbench.protocols.timed import timed_rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[Any]

HELD_OUT = 2000
"""Most samples of the test and of the validation split that energy distances are measured with."""

_known = EndPoints()
"""Of the reference, and of samplers at h = 1: most cells of a board need the same ones."""


class StepConsistency(EvaluationProtocol):
    """Distance to the exact ODE solution, from the same x_T, over steps h."""

    kind: ClassVar[str] = "sampler"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(
            "distance",
            "data units",
            "lower",
            primary=True,
            description="mean, to the exact ODE solution",
            lowest=0,
        ),
        Metric("rms_distance", "data units", "lower", description="root mean square of the same", lowest=0),
        Metric("median_distance", "data units", "lower", description="median of the same", lowest=0),
        Metric(
            "self_distance", "data units", "lower", description="mean, to the own result at h = 1", lowest=0
        ),
        Metric("energy_distance", "data units", "lower", description="samples against held-out data"),
        Metric("energy_floor", "data units", None, description="held-out against held-out data"),
        *METRICS,
        *ATTRIBUTE_METRICS,
    )
    workload: ClassVar[str] = "draws 1,000 points, or 100 images"

    def evaluate(  # type: ignore[override]
        self,
        method: Sampler,
        data: Dataset,
        *,
        rng: torch.Generator,
        clock: Clock,
        generator: Ref,
        step: float = 1.0,
        count: int = 2000,
        reference: Annotated[Ref, "sampler"] = "oracle",
        classifier: Annotated[Ref | None, "defense"] = None,
        own_count: int | None = None,
    ) -> Measurement:
        """Draw `count` samples of `generator` with the sampler at `step` = h (units of 1/T).

        `classifier`: whose labels of images are compared, those of its undefended `logits`; and, where it
            predicts attributes (`PredictsAttributes`), those.
        `own_count`: samples compared with the sampler's own result at h = 1, the first of them (None:
            all). At T = 1000 that result costs a thousand evaluations a sample and more.
        """
        check(generator, step, count)
        check_own(own_count)
        check_classifier(classifier, data)
        streams = Streams(rng)
        start = starts(count, data, streams)
        timed = timed_rows(start)
        clock.measure(lambda: method.sample(generator.predictor, timed, step=step, rng=streams("timing")))
        if clock.timing_only:
            return Measurement()

        adaptive = method.evaluations_per_step is None
        ends = known_ends(method, generator, start, 1.0 if adaptive else step, streams)
        samples = ends.points
        held_out, others = data.test.x[:HELD_OUT], data.val.x[:HELD_OUT]
        values = [
            energy_to(samples, held_out).as_value("energy_distance"),
            energy_to(others, held_out).as_value("energy_floor"),
        ]
        scores: dict[str, Array] = {}
        notes = remarks(method, step)
        if method.deterministic:
            exact = own = samples  # where running the same thing again could only give the same
            if not (adaptive and is_same(method, reference)):
                exact = known_ends(reference, generator, start, 1.0, streams).points
            if not adaptive and step != 1:
                own = known_ends(method, generator, start[:own_count], 1.0, streams).points
            own = own[:own_count]
            scores = {"samples": distances(samples, exact)}
            values += [*to_exact(scores["samples"], streams), to_own(distances(samples[: len(own)], own))]
            if is_images(data):
                found, said = likeness(samples, exact, own)
                values, notes = [*values, *found], [*notes, *said]
            if classifier is not None:
                values += judged(classifier, samples, exact, own, data.test)
        return Measurement(values, scores, kept(samples, held_out), nfe=ends.rows / count, notes=notes)

    def draw(self, records: Sequence[Record], arrays: Sequence[Mapping[str, Array]]) -> dict[str, Figure]:
        """Samples over h, and error (of images also PSNR) against h and against NFE with the fitted order."""
        return draw(records, arrays)

    def findings(self, records: Sequence[Record]) -> list[str]:
        """Who reaches an rms error of 1e-3 with the fewest evaluations; on images, RK4 against DDIM in dB."""
        return findings(records)


def check(generator: DiffusionModel, step: float, count: int) -> None:
    """Refuse what cannot be sampled: UserError for nonsense, Unsupported for a step beyond the schedule."""
    if not hasattr(generator, "predictor"):
        raise UserError(
            f"step_consistency: generator {type(generator).__name__} has no predictor; name a diffusion model"
        )
    if not step > 0 or count < 2:
        raise UserError(f"step_consistency: step {step:g}, count {count}: step > 0 and count >= 2 are right")
    last = generator.predictor.schedule.num_steps
    if step > last:
        raise Unsupported(f"a step of h = {step:g} is longer than the whole schedule of T = {last} steps")


def judged(
    classifier: Defense, samples: Tensor, exact: Tensor, own: Tensor, held_out: Split
) -> Iterator[Value]:
    """Agreement of labels, and flips of attributes where the classifier predicts some. One that does needs no
    labels: those are left out where the data have none.
    """
    if held_out.y is not None or not isinstance(classifier, PredictsAttributes):
        yield from agreement(classifier, samples, exact, own, held_out)
    if isinstance(classifier, PredictsAttributes):
        yield from flips(classifier, samples, exact, own, held_out)


def check_own(count: int | None) -> None:
    """UserError for fewer samples than an interval can be made of."""
    if count is not None and count < 2:
        raise UserError(f"step_consistency: own_count is {count}; two or more samples, or none given (all)")


def check_classifier(classifier: Defense | None, data: Dataset) -> None:
    """UserError for a classifier of anything but images: labels are those of values in [0, 1]."""
    if classifier is not None and not is_images(data):
        raise UserError(
            f"step_consistency: classifier {type(classifier).__name__}: {data.name} holds no images "
            "(channels, height, width); leave it out"
        )


def is_images(data: Dataset) -> bool:
    """Whether samples have shape (channels, height, width)."""
    return len(data.shape) == 3


def starts(count: int, data: Dataset, streams: Streams) -> Tensor:
    """x_T ~ N(0, I), (count, *shape): the same for every sampler and step."""
    dtype = data.test.x.dtype
    rng = streams("x_T")
    return torch.randn(count, *data.shape, generator=rng, device=streams.device, dtype=dtype)


def known_ends(
    sampler: Sampler, generator: DiffusionModel, start: Tensor, step: float, streams: Streams
) -> Ends:
    """Where the sampler carries `start`, checked; noise, where it uses any, is the same for all.

    Of a deterministic sampler at h = 1, an adaptive one's whatever its steps are, not drawn again where this
    process knows them.
    """

    def draw_them() -> Ends:
        counter = CountingPredictor(generator.predictor)
        x = sampler.sample(counter, start.clone(), step=step, rng=streams("noise"))
        return Ends(generator.to_data(checked_samples(x, tuple(start.shape), sampler)), counter.rows)

    return _known.recall(sampler, generator, start, step, draw_them) if step == 1 else draw_them()


def is_same(one: Sampler, other: Sampler) -> bool:
    """Whether two samplers are one: the same class with the same parameters."""
    return type(one) is type(other) and vars(one) == vars(other)


def distances(x: Tensor, y: Tensor) -> Array:
    """Euclidean distance of each sample to its counterpart, (n,), float64."""
    difference = (x.double() - y.double()).flatten(1)
    result: Array = torch.linalg.vector_norm(difference, dim=1).cpu().numpy()
    return result


def to_exact(distance: Array, streams: Streams) -> list[Value]:
    """The mean distance with a bootstrap interval (distances are skewed), and its rms and median."""
    n = len(distance)
    mean = measures.bootstrap_mean(distance, rng=streams("bootstrap"))
    return [
        Value("distance", "", mean.value, n, mean.low, mean.high),
        root_mean_square(distance),
        Value("median_distance", "", float(np.median(distance)), n, *median_interval(distance)),
    ]


def to_own(distance: Array) -> Value:
    """The mean distance to the sampler's own end points at h = 1."""
    mean = measures.student(distance)
    return Value("self_distance", "", mean.value, len(distance), mean.low, mean.high)


def root_mean_square(distance: Array) -> Value:
    """With the roots of the ends of Student's interval for the mean square."""
    mean = measures.student(distance**2)
    ends = [None if end is None else math.sqrt(max(end, 0.0)) for end in (mean.low, mean.high)]
    return Value("rms_distance", "", math.sqrt(mean.value), len(distance), *ends)


def median_interval(distance: Array) -> tuple[float | None, float | None]:
    """The order statistics that hold the median with 95 % (binomial, for any law); none for a handful."""
    interval: Any = quantile_test(distance, q=0.0, p=0.5).confidence_interval(0.95)
    low, high = float(interval.low), float(interval.high)
    return (low, high) if math.isfinite(low + high) else (None, None)


def remarks(method: Sampler, step: float) -> list[str]:
    """What a reader of the row must know."""
    notes = []
    if not method.deterministic:
        notes.append("stochastic: no pathwise distance")
    if method.evaluations_per_step is None:
        notes.append("adaptive: chooses its own steps whatever h is")
    return notes
