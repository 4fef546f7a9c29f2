"""Super-resolution: does the detail that a method adds to a small image look real, and does it fit the image?

Question. Images a method has not seen are reduced to the means of blocks. Can what it makes of the small
images be told from real images? Does it show what the originals show, and does it reduce to the small images?

Needs. A generator that super-resolves (`SuperResolver`); a classifier with features (`features`), fitted on
the data set's training split and shared by all methods; images whose sides `factor` divides.

Measurement. The first `count` images of the test split are reduced, and super-resolved with z at a
temperature. KID's formula on the classifier's features between the results and the *next* `count` images of
the test split, which are no method's originals, is the primary metric; the originals in place of the results
give its floor. PSNR, SSIM and LPIPS to the originals; PSNR between the results, reduced, and the small images
(consistency); whether the classifier gives the label of the original, and whether a judge finds the
attributes that the original has; how much results differ over draws of z. PSNR and SSIM reward the mean of
all images that are possible, which is blurred and like none of them: hence the primary metric.

References. Tu et al. 2023, Fig. 4; Bińkowski et al. 2018 (KID); Wang et al. 2004 (SSIM); Zhang et al. 2018
(LPIPS); Blau and Michaeli 2018 (distortion against perception); Lugmayr et al. 2020 (consistency, diversity).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mfbench.contracts import (
    Clock,
    Dataset,
    EvaluationProtocol,
    Measurement,
    Metric,
    PredictsAttributes,
    Record,
    Ref,
    SuperResolver,
)
from mfbench.errors import Unsupported, UserError
from mfbench.protocols.checked import checked_samples
from mfbench.protocols.draws import Streams
from mfbench.protocols.kernel import kernel_to, require_features
from mfbench.protocols.levels import at_level, require_images, shape_at
from mfbench.protocols.likeness import LPIPS, SSIM, decibels, likeness, mean_value
from mfbench.protocols.resolution_figures import draw, kept
from mfbench.protocols.resolution_labels import LABEL_METRICS, attribute_agreement, label_agreement
from mfbench.protocols.sample_features import features_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[Any]

TIMED = 1000
"""Small images that one timed call super-resolves."""
_WHO = "super_resolution"


class SuperResolution(EvaluationProtocol):
    """How real, how like the original and how faithful to the small image super-resolved images are."""

    kind: ClassVar[str] = "generator"
    ability: ClassVar[type | None] = SuperResolver
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("kid", "", "lower", primary=True, description="kernel distance of features, unbiased"),
        Metric("kid_floor", "", None, description="the same of the originals: what real images score"),
        Metric("psnr", "dB", "higher", description="mean, to the original", lowest=0),
        SSIM,
        LPIPS,
        Metric(
            "consistency",
            "dB",
            "higher",
            description="PSNR of the reduced result to the small image",
            lowest=0,
        ),
        *LABEL_METRICS,
        Metric("diversity", "data units", None, description="standard deviation over draws of z", lowest=0),
    )
    workload: ClassVar[str] = "super-resolves 1,000 images"

    def evaluate(  # type: ignore[override]
        self,
        method: Any,
        data: Dataset,
        *,
        rng: torch.Generator,
        clock: Clock,
        features: Annotated[Ref, "defense"],
        factor: int = 2,
        temperature: float = 1.0,
        count: int = 500,
        draws: int = 4,
        judge: Annotated[Ref, "defense"] | None = None,
    ) -> Measurement:
        """Super-resolve images of a `factor`-th of the full size, a power of 2.

        temperature: z ~ N(0, temperature^2 I).
        count: images that are reduced, and images that the results are compared with: twice as many in all.
        draws: of z, for the diversity; everything else is of the first.
        judge: a classifier of the data set's attributes (`PredictsAttributes`).
        """
        check(method, data, features, factor, temperature, count, draws, judge)
        streams, level = Streams(rng), factor.bit_length()
        originals, others = data.test.x[:count], data.test.x[count : 2 * count]
        low = at_level(originals, level)
        timed = low[torch.arange(TIMED, device=low.device) % count]
        clock.measure(lambda: method.super_resolve(timed, level, temperature, rng=streams("timing")))
        if clock.timing_only:
            return Measurement()

        made = [resolved(method, low, originals, level, temperature, streams, i) for i in range(draws)]
        found = made[0]
        seen = {name: features_of(x, features) for name, x in zip(_SETS, (found, others, originals))}
        distance = kernel_to(seen["found"], seen["others"])
        alike, notes = likeness(found, originals)
        values = [
            distance.as_value("kid"),
            kernel_to(seen["originals"], seen["others"]).as_value("kid_floor"),
            mean_value("psnr", "", decibels(found, originals)),
            *alike,
            mean_value("consistency", "", decibels(at_level(found, level), low)),
            *label_agreement(features, found, originals),
            *attribute_agreement(judge, found, data.test, count),
        ]
        if draws > 1:
            values.append(mean_value("diversity", "", spread(made)))
            if all(torch.equal(found, other) for other in made):
                notes.append("deterministic: every draw gives the same images")
        scores = {"samples": distance.samples, "held_out": distance.held_out}
        return Measurement(values, scores, kept(low, originals, made), notes=notes)

    def check_parameters(self, **parameters: Any) -> None:
        """UserError for a factor, a temperature and counts that no images have."""
        check_numbers(*(parameters[name] for name in ("factor", "temperature", "count", "draws")))

    def draw(self, records: Sequence[Record], arrays: Sequence[Mapping[str, Array]]) -> dict[str, Figure]:
        """Small images, originals, and what each method made of them (Fig. 4)."""
        return draw(records, arrays)


_SETS = ("found", "others", "originals")


def check(
    method: Any,
    data: Dataset,
    features: Any,
    factor: int,
    temperature: float,
    count: int,
    draws: int,
    judge: Any,
) -> None:
    """UserError for parameters that make no sense; Unsupported for what these data or this method lack."""
    require_images(data, _WHO)
    if not isinstance(method, SuperResolver):
        raise Unsupported(f"{type(method).__name__} does not super-resolve")
    check_numbers(factor, temperature, count, draws)
    require_features(features, _WHO)
    if judge is not None and not isinstance(judge, PredictsAttributes):
        raise UserError(
            f"{_WHO}: judge = {type(judge).__name__} predicts no attributes; a classifier with the ability "
            "PredictsAttributes is right"
        )
    shape_at(data.shape, factor.bit_length())
    if 2 * count > len(data.test):
        raise Unsupported(
            f"{count} images to super-resolve and {count} others to compare them with are asked for, but the "
            f"test split holds {len(data.test)}"
        )


def check_numbers(factor: int, temperature: float, count: int, draws: int) -> None:
    """UserError for numbers that make no sense whatever the data and the method are."""
    if factor < 2 or factor & (factor - 1):
        raise UserError(f"{_WHO}: factor = {factor}: a power of 2, from 2")
    if not temperature >= 0 or count < 3 or draws < 1:
        raise UserError(
            f"{_WHO}: temperature = {temperature}, count = {count}, draws = {draws}: at least 0, 3 and 1"
        )


def resolved(
    method: SuperResolver,
    low: Tensor,
    originals: Tensor,
    level: int,
    temperature: float,
    streams: Streams,
    draw: int,
) -> Tensor:
    """(n, c, h, w) of the draw-th z, checked, clamped to [0, 1] as they would be shown."""
    rng = streams("z", str(draw))
    made = method.super_resolve(low.clone(), level, temperature, rng=rng)
    return checked_samples(made, tuple(originals.shape), method, "super_resolve").clamp(0, 1)


def spread(made: Sequence[Tensor]) -> Array:
    """(n,): standard deviation over the draws, as the root of its mean square over pixels and channels."""
    variance = torch.stack([each.double() for each in made]).var(dim=0)
    result: Array = np.sqrt(variance.flatten(1).mean(1).cpu().numpy())
    return result
