"""Semantic path: is the way between two images a sequence of meaningful changes, each made once?

Question. Between the codes of two held-out images the straight line is decoded. Does the message of the
images on the way tell how the one becomes the other (`beard off, glasses on`), with no more changes than the
two differ in, and do the images stay among those that the data know?

Needs. A disentangler, and a data set with attributes.

Measurement. Every image of the path, its ends' reconstructions included, is encoded again, and its message
read as attributes by an assignment made on validation images. A factor is told right where its story begins
with the true value of the first image, ends with that of the second, and comes back to nothing it has left;
the mean over factors and pairs is the primary metric. Beside it: symbol changes against the Hamming distance
of the ends, and monotonicity. A likelihood says which intermediate images are no less probable than 95 % of
validation images; the same for the ends' reconstructions and for pixel blends of them.

References. Tu et al. 2023, section 3 (semantic trajectories); Chaabouni et al. 2020.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

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
    Likelihood,
    Measurement,
    Metric,
    Record,
    Ref,
    Value,
)
from mfbench.errors import Unsupported, UserError
from mfbench.protocols import codes as coded
from mfbench.protocols import path_story as story
from mfbench.protocols.checked import checked_scores
from mfbench.protocols.clusters import mean_value
from mfbench.protocols.draws import Streams
from mfbench.protocols.path_figures import draw, kept
from mfbench.protocols.semantic_metrics import LABELS, bounded, labels_used, share

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[Any]

TIMED = 20
"""Paths of one timed call."""
FEWEST = 10
"""Pairs of images."""
ACCEPTED = 0.05
"""Quantile of validation scores from which on an image counts as on the manifold."""


class SemanticPath(EvaluationProtocol):
    """Straight lines between codes, told as symbol changes."""

    kind: ClassVar[str] = "disentangler"
    metrics: ClassVar[tuple[Metric, ...]] = (
        share("told_right", "a factor's story is true and told once", primary=True),
        LABELS,
        share("all_right", "the stories of all factors are"),
        share("monotone", "of the symbols that change, those that never turn back"),
        Metric("changes", "symbols", None, description="symbol changes along a path", lowest=0),
        Metric("hamming", "symbols", None, description="symbols in which the ends differ", lowest=0),
        Metric("excess", "symbols", "lower", description="changes beyond those of the ends", lowest=0),
        share("on_manifold", "intermediate images accepted by the likelihood"),
        share("on_manifold_ends", "reconstructions of the ends accepted by it", None),
        share("on_manifold_blend", "pixel blends of these accepted by it", None),
    )
    workload: ClassVar[str] = "decodes 20 paths of 11 images"

    def evaluate(  # type: ignore[override]
        self,
        method: Disentangler,
        data: Dataset,
        *,
        rng: torch.Generator,
        clock: Clock,
        count: int = 200,
        steps: int = 11,
        likelihood: Annotated[Ref, "likelihood"] | None = None,
        factors: Sequence[str] | None = None,
    ) -> Measurement:
        """Paths of `steps` images between disjoint pairs of test images, at most `count` of them.

        likelihood: what says whether images are on the manifold; None: not asked. factors: the attributes
        that are told (None: all).
        """
        _check(count, steps, factors)
        count = min(count, len(data.test) // 2)
        if count < FEWEST:
            raise Unsupported(f"the test split holds {len(data.test)} images: too few for {FEWEST} pairs")
        if isinstance(method, KnowsAttributes):
            raise Unsupported(f"{type(method).__name__} cannot be shown the attributes of decoded images")
        asked, streams = coded.factors_of(data.test, data.name, factors), Streams(rng)
        timed = data.test.x[torch.arange(2 * TIMED, device=data.test.x.device) % len(data.test)]
        clock.measure(lambda: _path_images(method, coded.encode_images(method, timed), 11, data.shape))
        if clock.timing_only:
            return Measurement()

        truth = asked.of(data.test)[: 2 * count]
        asked, notes = coded.varying(asked, asked.of(data.val), truth)
        truth, truth_val = asked.of(data.test)[: 2 * count], asked.of(data.val)
        codes, on_val = coded.encode(method, data.test, 2 * count), coded.encode(method, data.val)
        most = max(len(np.unique(column)) for column in truth_val.T)
        reader = coded.reader(method, on_val, most)
        images = _path_images(method, codes, steps, data.shape)
        messages = reader.message(images, coded.encode_images(method, images))
        stories = messages.reshape(count, steps, -1)

        read = _readings(reader.message(data.val.x, on_val), truth_val, stories)
        values, scores = [*_of_symbols(stories), labels_used(method)], {}
        if read is None:
            notes.append(f"{messages.shape[1]} dimensions cannot tell {len(asked.names)} factors")
        else:
            right = story.told_right(read, truth[::2], truth[1::2])
            values += _of_stories(right, asked.names)
            scores = {"paths": right.mean(axis=1)}
        if likelihood is not None:
            values += _on_manifold(likelihood, images, data, steps, streams)
        return Measurement(
            values=bounded(values, self.metrics),
            scores=scores,
            arrays=kept(images.unflatten(0, (count, steps)), read, asked.names, truth_val),  # type: ignore[no-untyped-call]
            notes=[*notes, *reader.note(most)],
        )

    def check_parameters(self, **parameters: Any) -> None:
        """UserError for too few paths or steps, and for a factor that is named twice."""
        _check(*(parameters[name] for name in ("count", "steps", "factors")))

    def draw(self, records: Sequence[Record], arrays: Sequence[Mapping[str, Array]]) -> dict[str, Figure]:
        """Some paths, each with its story."""
        return draw(records, arrays)


def _check(count: int, steps: int, factors: Sequence[str] | None) -> None:
    if count < FEWEST or steps < 3:
        raise UserError(f"semantic_path: count = {count} ({FEWEST} or more), steps = {steps} (3 or more)")
    coded.distinct("semantic_path", "factors", factors)


def _path_images(method: Disentangler, codes: Tensor, steps: int, shape: tuple[int, ...]) -> Tensor:
    """Decoded images (pairs * steps, *shape) between each even row of the codes and the odd row after it."""
    t = torch.linspace(0, 1, steps, device=codes.device, dtype=codes.dtype)[None, :, None]
    along = (1 - t) * codes[::2, None] + t * codes[1::2, None]
    return coded.decode(method, along.flatten(0, 1), shape)


def _readings(message_val: Array, truth_val: Array, stories: Array) -> Array | None:
    """What stories say, assigned on validation messages; None with fewer symbols than factors."""
    if message_val.shape[1] < truth_val.shape[1]:
        return None
    return story.readings(measures.assign_grid(message_val, truth_val, by="axes"), stories)


def _of_symbols(stories: Array) -> list[Value]:
    """What needs no meaning: how often symbols change, and whether they turn back."""
    made, needed = story.changes(stories).astype(float), story.ends_apart(stories).astype(float)
    steady = story.monotone(stories)
    pairs = np.arange(len(stories))
    values = [
        mean_value("changes", "", made, pairs),
        mean_value("hamming", "", needed, pairs),
        mean_value("excess", "", made - needed, pairs),
    ]
    moving = ~np.isnan(steady)
    if np.count_nonzero(moving) > 1:
        values.append(mean_value("monotone", "", steady[moving], np.arange(np.count_nonzero(moving))))
    return values


def _of_stories(right: Array, names: tuple[str, ...]) -> list[Value]:
    pairs = np.arange(len(right))
    return [
        mean_value("told_right", "", right.mean(axis=1), pairs),
        mean_value("all_right", "", right.all(axis=1).astype(float), pairs),
        *(
            mean_value("told_right", name, column.astype(float), pairs)
            for name, column in zip(names, right.T)
        ),
    ]


def _on_manifold(
    likelihood: Likelihood, images: Tensor, data: Dataset, steps: int, streams: Streams
) -> list[Value]:
    """Shares accepted at the score that 95 % of the validation images reach, by path."""

    def score(x: Tensor) -> Array:
        with torch.no_grad():
            return checked_scores(likelihood.score(x, rng=streams("scores")), len(x), likelihood)

    least = np.quantile(score(data.val.x), ACCEPTED)
    paths = images.unflatten(0, (-1, steps))  # type: ignore[no-untyped-call]
    t = torch.linspace(0, 1, steps, device=images.device, dtype=images.dtype)[1:-1]
    t = t.reshape(1, -1, *[1] * (images.ndim - 1))
    blends = (1 - t) * paths[:, :1] + t * paths[:, -1:]
    shown = {"": paths[:, 1:-1], "_ends": paths[:, [0, -1]], "_blend": blends}
    values = []
    for name, some in shown.items():
        accepted = score(some.flatten(0, 1)).reshape(len(some), -1) >= least
        values.append(mean_value(f"on_manifold{name}", "", accepted.mean(axis=1), np.arange(len(some))))
    return values
