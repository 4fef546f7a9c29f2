"""Message stability: does a message survive what changes nothing in an image? No label is read.

Question. Of two views of a validation image (small random affine maps), how much does the message of one tell
of the message of the other, symbol by symbol, and how much do the symbols of one message repeat each other?

Needs. A disentangler; images. Attributes, if there are any, are not looked at, so that settings of methods
without labels can be chosen by this protocol and stay without labels.

Measurement. Over the first `count` validation images: the sum over positions of the mutual information
between the symbols of two views, less the mutual information between every two positions of the message of
the image itself (plug-in estimates less their bias by Miller 1955, in nats). Test images are not touched.

References. Ji et al. 2019 (information between views); Duan et al. 2020 (choosing without labels).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mfbench import measures
from mfbench.contracts import (
    Clock,
    Dataset,
    Disentangler,
    EvaluationProtocol,
    KnowsAttributes,
    Measurement,
    Metric,
    Record,
    Value,
)
from mfbench.errors import Unsupported, UserError
from mfbench.protocols import codes as coded
from mfbench.protocols import style
from mfbench.protocols.clusters import by_cluster, clusters_of
from mfbench.protocols.message_information import contributions, few
from mfbench.protocols.sample_image_figures import as_bytes, mosaic, show
from mfbench.protocols.semantic_metrics import LABELS, labels_used
from mfbench.protocols.showing import Kept, one_of_each
from mfbench.protocols.views import STRONGEST, viewed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[Any]

TIMED = 100
"""Images that one timed call encodes."""
DRAWN = 8
"""Images of the figure."""
WIDE = 8.0
"""Inches of the figure."""
FEWEST = 100
"""Images at least."""
_WHO = "message_stability"


class MessageStability(EvaluationProtocol):
    """What messages of two views of one image have in common."""

    kind: ClassVar[str] = "disentangler"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("information", "nats", "higher", True, "kept between views, less what positions repeat"),
        LABELS,
        Metric("kept", "nats", "higher", description="information between the views' symbols, all positions"),
        Metric("repeated", "nats", "lower", description="information between positions of one message"),
        Metric("entropy", "nats", None, description="of the images' own symbols, all positions", lowest=0),
    )
    workload: ClassVar[str] = "encodes 100 images"

    def evaluate(  # type: ignore[override]
        self,
        method: Disentangler,
        data: Dataset,
        *,
        rng: torch.Generator,
        clock: Clock,
        count: int | None = None,
        strength: float = 1.0,
        parts: int = 6,
    ) -> Measurement:
        """Measure on the first `count` validation images (None: all).

        strength: of the affine maps. parts: into which each dimension of a code is cut where the method has
        no message of its own.
        """
        _check(count, strength, parts)
        if len(data.shape) != 3:
            raise Unsupported(f"{_WHO} is for images (channels, height, width), not for {data.shape}")
        if isinstance(method, KnowsAttributes):
            raise Unsupported(f"{type(method).__name__} is shown attributes, which views of images have not")
        x = data.val.x[:count]
        _enough(len(x), count)
        timed = x[torch.arange(TIMED, device=x.device) % len(x)]
        clock.measure(lambda: coded.encode_images(method, timed))
        if clock.timing_only:
            return Measurement()

        codes = coded.encode_images(method, x)
        reader = coded.reader(method, codes, parts)
        own = reader.message(x, codes)
        one, other = (seen(method, reader, x, strength, rng) for _ in range(2))
        kept, repeated, entropy = contributions(own, one, other)
        clusters = clusters_of(data.val, count)
        values = [
            _mean("information", kept - repeated, clusters),
            labels_used(method),
            _mean("kept", kept, clusters),
            _mean("repeated", repeated, clusters),
            Value("entropy", "", float(entropy.mean()), len(x)),
        ]
        shown = {"views": as_bytes(torch.cat([viewed(x[:DRAWN], strength, rng) for _ in range(2)]))}
        notes = [*reader.note(parts), *few(own)]
        return Measurement(values, {"examples": kept - repeated}, shown, notes=notes)

    def check_parameters(self, **parameters: Any) -> None:
        """UserError for too few images, maps that do nothing, and a code that is not cut."""
        _check(*(parameters[name] for name in ("count", "strength", "parts")))

    def draw(self, records: Sequence[Record], arrays: Sequence[Mapping[str, Array]]) -> dict[str, Figure]:
        """Some images, each in two views."""
        shown = one_of_each(records, arrays)
        return {"views": draw_views(shown[0][1])} if shown else {}


def draw_views(kept: Kept) -> Figure:
    """Two rows: views of the same images under each other."""
    picture = mosaic(kept["views"], DRAWN)
    height = WIDE * picture.shape[0] / picture.shape[1]
    figure, axes = style.new_figure(panel=(WIDE, height + 0.35))
    style.plain(axes[0, 0])
    show(axes[0, 0], picture)
    style.heading(figure, "validation images, each in two views")
    return figure


def seen(
    method: Disentangler, reader: coded.Reader, x: Tensor, strength: float, rng: torch.Generator
) -> Array:
    """Messages (n, d) of one view of each image, made batch by batch."""
    messages = []
    for part in torch.split(x, coded.BATCH):
        view = viewed(part, strength, rng)
        messages.append(reader.message(view, coded.encode_images(method, view)))
    return np.concatenate(messages)


def _mean(metric: str, contributions: Array, clusters: Array) -> Value:
    """Their mean with Student's interval over clusters: they are no proportion, whatever their values are."""
    found = measures.student(by_cluster(contributions, clusters))
    return Value(metric, "", found.value, len(contributions), found.low, found.high)


def _enough(images: int, count: int | None) -> None:
    if count is not None and images < count:
        raise Unsupported(f"{_WHO}: {count} images are asked for, the validation split holds {images}")
    if images < FEWEST:
        raise Unsupported(f"{_WHO}: {images} validation images; at least {FEWEST} are needed")


def _check(count: int | None, strength: float, parts: int) -> None:
    if count is not None and count < FEWEST:
        raise UserError(f"{_WHO}: count = {count}: at least {FEWEST} images")
    if not 0 < strength <= STRONGEST:
        raise UserError(f"{_WHO}: strength = {strength}: above 0, at most {STRONGEST}")
    if parts < 2:
        raise UserError(f"{_WHO}: parts = {parts}: 2 or more")
