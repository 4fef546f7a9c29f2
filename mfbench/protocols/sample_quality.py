"""Sample quality: can generated samples be told from held-out data?

Question. How far is the distribution of a generator's samples from that of data it has not seen?

Needs. A generator; a data set whose test split holds at least as many samples as are drawn.

Measurement. `count` samples against the first `count` of the test split. Energy distance (the primary
metric), sliced Wasserstein distance of order 2 and squared maximum mean discrepancy (Gaussian kernel,
median heuristic on the held-out data; unbiased, as the energy distance) measure how far; precision,
density, recall and coverage say whether fidelity or diversity lacks; a classifier two-sample test says
whether anything is wrong at all. The floor is the ceiling row `held_out`: the validation split in place
of samples.

On images these distances are between flattened pixels. With a classifier of the data set (`features`), KID's
and FID's formula, the overlap metrics and the classifier test are computed on its features as well. Images
are also asked whether they were copied: are samples nearer to the training set than held-out images are?

References. Székely and Rizzo 2013; Bonneel et al. 2015; Gretton et al. 2012; Naeem et al. 2020; Lopez-
Paz and Oquab 2017; Bińkowski et al. 2018; Heusel et al. 2017; Meehan et al. 2020.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import torch
from numpy.typing import NDArray
from torch import Tensor

from mfbench import measures
from mfbench.contracts import (
    Clock,
    Dataset,
    EvaluationProtocol,
    GenerativeModel,
    HasFeatures,
    Measurement,
    Metric,
    Record,
    Ref,
    Value,
)
from mfbench.errors import Unsupported, UserError
from mfbench.protocols import sample_image_figures as image_figures
from mfbench.protocols.checked import checked_samples
from mfbench.protocols.counting import cost, count_evaluations
from mfbench.protocols.draws import Streams
from mfbench.protocols.energy import energy_to
from mfbench.protocols.sample_copies import copies
from mfbench.protocols.sample_features import PART as FEATURES
from mfbench.protocols.sample_features import (
    bias_note,
    feature_quality,
    features_of,
    require_features,
    told_apart,
)
from mfbench.protocols.sample_figures import draw, kept
from mfbench.protocols.timed import timed_count

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[Any]

PIXELS = 4096
"""Most numbers of an image on whose pixels the classifier test is made: it takes a minute or more beyond."""


class SampleQuality(EvaluationProtocol):
    """Distances of generated samples to held-out data."""

    kind: ClassVar[str] = "generator"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("energy_distance", "data units", "lower", primary=True, description="unbiased; 0 on average"),
        Metric("sliced_wasserstein", "data units", "lower", description="order 2, 512 projections", lowest=0),
        Metric("mmd", "", "lower", description="squared, Gaussian kernel, unbiased"),
        Metric(
            "c2st_accuracy",
            "",
            None,
            description="of a classifier; 0.5: samples and data look alike",
            lowest=0,
            highest=1,
        ),
        Metric(
            "c2st_p",
            "",
            None,
            description="permutation p of that accuracy",
            lowest=0,
            highest=1,
            p_value=True,
        ),
        Metric(
            "precision",
            "",
            "higher",
            description="samples within the support of the data",
            lowest=0,
            highest=1,
        ),
        Metric(
            "density",
            "",
            None,
            description="how deep within it; 1 on average for the data's own law",
            lowest=0,
        ),
        Metric(
            "recall", "", "higher", description="data within the support of the samples", lowest=0, highest=1
        ),
        Metric("coverage", "", "higher", description="data with a sample nearby", lowest=0, highest=1),
        Metric("kid", "", "lower", description="images: kernel distance of features, unbiased"),
        Metric(
            "fid", "", "lower", description="images: Fréchet distance of features; biased upwards", lowest=0
        ),
        Metric(
            "copying",
            "",
            None,
            description="images: P(sample nearer to training data than held-out)",
            lowest=0,
            highest=1,
        ),
        Metric(
            "copied",
            "",
            None,
            description="images: samples nearer to it than all but 5 % of held-out",
            lowest=0,
            highest=1,
        ),
    )
    workload: ClassVar[str] = "draws 1,000 points, or 100 images"

    def evaluate(  # type: ignore[override]
        self,
        method: GenerativeModel,
        data: Dataset,
        *,
        rng: torch.Generator,
        clock: Clock,
        count: int = 2000,
        features: Annotated[Ref, "defense"] | None = None,
    ) -> Measurement:
        """Draw `count` samples and compare them with as many of `data.test`; images by `features` as well."""
        if count < 12:
            raise UserError(f"sample_quality: count is {count}; at least 12 samples are needed")
        if count > len(data.test):
            raise Unsupported(f"{count} samples are asked for, but the test split holds {len(data.test)}")
        images = len(data.shape) == 3
        if features is not None:
            if not images:
                raise UserError("sample_quality: features are for images; leave `features` out for points")
            require_features(features)
        streams = Streams(rng)
        clock.measure(lambda: method.sample(timed_count(data.shape), rng=streams("samples")))
        if clock.timing_only:
            return Measurement()

        held_out = data.test.x[:count]
        with count_evaluations(method) as counter:
            samples = checked_samples(
                method.sample(count, rng=streams("samples")), (count, *data.shape), method
            )
        energy = energy_to(samples, held_out)
        nfe, notes = cost(counter, count)
        values, arrays = [energy.as_value("energy_distance"), *quality(samples, held_out, streams)], {}
        if images:
            of_images = image_quality(samples, held_out, data, features, streams)
            values, arrays, notes = values + of_images[0], of_images[1], notes + of_images[2]
        return Measurement(
            values=values,
            scores={"samples": energy.samples, "held_out": energy.held_out},
            arrays=arrays or kept(samples, held_out),
            nfe=nfe,
            notes=notes,
        )

    def draw(self, records: Sequence[Record], arrays: Sequence[Mapping[str, Array]]) -> dict[str, Figure]:
        """The samples of each generator; of images also their nearest training images."""
        return image_figures.draw(records, arrays) or draw(records, arrays)


def quality(samples: Tensor, held_out: Tensor, streams: Streams) -> list[Value]:
    """All metrics but the primary one."""
    n = len(samples)
    overlap = measures.precision_recall_density_coverage(samples, held_out)
    projected = measures.sliced_wasserstein(samples, held_out, rng=streams("projections"))
    return [
        Value("sliced_wasserstein", "", projected, n),
        Value("mmd", "", measures.maximum_mean_discrepancy(samples, held_out), n),
        *(told_apart(samples, held_out, streams) if tested_on_pixels(samples) else []),
        Value("precision", "", overlap.precision, n),
        Value("density", "", overlap.density, n),
        Value("recall", "", overlap.recall, n),
        Value("coverage", "", overlap.coverage, n),
    ]


def image_quality(
    samples: Tensor, held_out: Tensor, data: Dataset, features: HasFeatures | None, streams: Streams
) -> tuple[list[Value], dict[str, Array], list[str]]:
    """What is measured of images alone: values, arrays for the figures, notes."""
    notes = [] if tested_on_pixels(samples) else [f"no classifier test on pixels: more than {PIXELS}"]
    train = data.train
    found = {"pixels": copies(samples, held_out, train, lambda x: x.flatten(1))}
    values = found["pixels"].values("")
    if features is None:
        notes.append("compared by pixels alone: no `features` were given")
    else:
        seen, seen_held_out = features_of(samples, features), features_of(held_out, features)
        values += feature_quality(seen, seen_held_out, streams)
        found["features"] = copies(samples, held_out, train, lambda x: features_of(x, features))
        values += found["features"].values(FEATURES)
        notes.append(bias_note(len(seen), seen.shape[1]))
    arrays = image_figures.kept(samples, held_out)
    return values, arrays | image_figures.kept_copies(samples, train.x, found), notes


def tested_on_pixels(samples: Tensor) -> bool:
    """Whether the classifier test is made on the numbers themselves: always on points."""
    return samples.ndim == 2 or samples[0].numel() <= PIXELS
