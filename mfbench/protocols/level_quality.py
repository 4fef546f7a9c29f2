"""Level quality: can what a hierarchical generator makes at each level be told from data of that level?

Question. A generator that works from coarse to fine stops at a level of resolution. How far is the
distribution of its images from that of held-out images, reduced to that level?

Needs. A generator that can stop (`GeneratesLevels`); a classifier with features (`features`), fitted on the
data set's training split and shared by all methods; images whose sides halve as often as levels are asked
for. Level 1 is the full size; the images of the next level are the means of 2 x 2 blocks.

Measurement. At each level `count` samples, z ~ N(0, temperature^2 I) at it and all coarser ones, against the
first `count` images of the test split, reduced. Both are enlarged to the full size again, by repeating
pixels, and compared by KID's formula on the classifier's features (the primary metric, at the finest level
asked for); the next `count` images of the test split in place of samples give its floor. The energy distance
compares the level's own pixels.

References. Tu et al. 2023, Fig. 3 B; Bińkowski et al. 2018 (KID); Székely and Rizzo 2013.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import torch
from numpy.typing import NDArray
from torch import Tensor

from mfbench.contracts import (
    Clock,
    Dataset,
    EvaluationProtocol,
    GeneratesLevels,
    HasFeatures,
    Measurement,
    Metric,
    Record,
    Ref,
    Value,
)
from mfbench.errors import Unsupported, UserError
from mfbench.protocols.checked import checked_samples
from mfbench.protocols.draws import Streams
from mfbench.protocols.energy import energy_to
from mfbench.protocols.kernel import Kernel, kernel_to, require_features
from mfbench.protocols.level_figures import draw_generations, kept_pairs
from mfbench.protocols.levels import (
    at_level,
    check_levels,
    enlarged,
    require_images,
    require_levels,
    shape_at,
)
from mfbench.protocols.sample_features import features_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[Any]

TIMED = 1000
"""Samples that one timed call draws."""
_WHO = "level_quality"


class LevelQuality(EvaluationProtocol):
    """Distances of samples to held-out data, by level."""

    kind: ClassVar[str] = "generator"
    ability: ClassVar[type | None] = GeneratesLevels
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("kid", "", "lower", primary=True, description="kernel distance of features, unbiased"),
        Metric("kid_floor", "", None, description="of held-out to other held-out images of the level"),
        Metric("energy_distance", "data units", "lower", description="of the level's pixels, unbiased"),
    )
    workload: ClassVar[str] = "draws 1,000 samples at the finest level"

    def evaluate(  # type: ignore[override]
        self,
        method: Any,
        data: Dataset,
        *,
        rng: torch.Generator,
        clock: Clock,
        features: Annotated[Ref, "defense"],
        levels: Sequence[int] = (1,),
        temperature: float = 1.0,
        count: int = 500,
    ) -> Measurement:
        """Draw `count` samples at each of `levels` and compare them with as many held-out images."""
        check(method, data, features, levels, temperature, count)
        streams, finest = Streams(rng), min(levels)
        clock.measure(lambda: method.generate(TIMED, finest, temperature, rng=streams("z")))
        if clock.timing_only:
            return Measurement()

        values: list[Value] = []
        scores: dict[str, Array] = {}
        arrays: dict[str, Array] = {}
        for level in sorted(levels):
            part = "" if level == finest else f"level {level}"
            real, others = (at_level(x, level) for x in torch.split(data.test.x[: 2 * count], count))
            samples = generated(method, count, data, level, temperature, streams)
            distance, floor = distances([samples, others], real, data, features)
            values += [distance.as_value("kid", part), floor.as_value("kid_floor", part)]
            energy = energy_to(samples, real).as_value("energy_distance")
            values.append(Value(energy.metric, part, energy.value, energy.n, energy.ci_low, energy.ci_high))
            scores = scores or {"samples": distance.samples, "held_out": distance.held_out}
            arrays |= kept_pairs(real, samples, level)
        return Measurement(values, scores, arrays)

    def check_parameters(self, **parameters: Any) -> None:
        """UserError for levels that no images have, a temperature below 0 and counts below 3."""
        require_levels(parameters["levels"], _WHO)
        check_numbers(parameters["temperature"], parameters["count"])

    def draw(self, records: Sequence[Record], arrays: Sequence[Mapping[str, Array]]) -> dict[str, Figure]:
        """Held-out images and samples, level by level (Fig. 3 B)."""
        return draw_generations(records, arrays)


def check(
    method: Any, data: Dataset, features: Any, levels: Sequence[int], temperature: float, count: int
) -> None:
    """UserError for parameters that make no sense; Unsupported for what these data or this method lack."""
    require_images(data, _WHO)
    if not isinstance(method, GeneratesLevels):
        raise Unsupported(f"{type(method).__name__} does not generate by level")
    require_features(features, _WHO)
    check_levels(levels, data.shape, _WHO)
    check_numbers(temperature, count)
    if 2 * count > len(data.test):
        raise Unsupported(
            f"{count} held-out images and {count} others for the floor are asked for, but the test split "
            f"holds {len(data.test)}"
        )


def check_numbers(temperature: float, count: int) -> None:
    """UserError for numbers that make no sense whatever the data and the method are."""
    if not temperature >= 0 or count < 3:
        raise UserError(f"{_WHO}: temperature = {temperature}, count = {count}: at least 0 and 3")


def generated(
    method: GeneratesLevels, count: int, data: Dataset, level: int, temperature: float, streams: Streams
) -> Tensor:
    """(count, c, h, w) of the level's size, checked, clamped to [0, 1]."""
    made = method.generate(count, level, temperature, rng=streams("z"))
    return checked_samples(made, (count, *shape_at(data.shape, level)), method, "generate").clamp(0, 1)


def distances(sets: Sequence[Tensor], real: Tensor, data: Dataset, features: HasFeatures) -> list[Kernel]:
    """Of each set of a level's images to the real ones, on features of the enlarged images."""
    seen, *others = (features_of(enlarged(x, data.shape), features) for x in (real, *sets))
    return [kernel_to(each, seen) for each in others]
