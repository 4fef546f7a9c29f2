"""Attribute structure: which attributes do the neighbourhoods of an embedding follow?

Question. The images are laid out by an embedding, say one that recognises faces. For each attribute, does
knowing it of an image's nearest neighbour tell it of the image?

Needs. An encoder (the decoder is not used), and a data set with binary attributes or of images, from which
simple ones are computed.

Measurement. The nearest neighbour of every test image, itself excluded and, if asked for, all images of its
identity. For each attribute KL(p(a) || p(a | a_nn = 0)) as in the paper; because that mixes dependence with
the base rate, I(a; a_nn) / H(a) beside it, whose mean over attributes embeddings are compared by. Intervals
by bootstrap over people; a null distribution by dealing attributes out anew, among images or, where
identities are excluded, among people.

References. Tu et al. 2023, section 3.3 and Fig. 15; Schroff et al. 2015 (FaceNet).
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
    Disentangler,
    EvaluationProtocol,
    Measurement,
    Metric,
    Record,
    Value,
)
from mfbench.errors import Unsupported, UserError
from mfbench.measures.convert import numpy_generator
from mfbench.protocols import codes as coded
from mfbench.protocols import structure_statistics as statistics
from mfbench.protocols.clusters import by_cluster, clusters_of, mean_value
from mfbench.protocols.disentanglement_measures import pointwise_information
from mfbench.protocols.draws import Streams
from mfbench.protocols.semantic_metrics import LABELS, bounded, labels_used, share
from mfbench.protocols.structure_attributes import binary_attributes
from mfbench.protocols.structure_figures import draw, findings, kept
from mfbench.protocols.structure_neighbours import nearest_others

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[Any]

TIMED = 100
"""Images that one timed call embeds."""


class AttributeStructure(EvaluationProtocol):
    """Attributes shared by nearest neighbours of an embedding."""

    kind: ClassVar[str] = "disentangler"
    metrics: ClassVar[tuple[Metric, ...]] = (
        share("information", "I(a; a_nn) / H(a), mean over attributes", primary=True),
        LABELS,
        Metric("kl", "nats", None, description="KL(p(a) || p(a | a_nn = 0))", lowest=0),
        Metric("null_kl", "nats", None, description="the same of shuffled attributes", lowest=0),
        Metric(
            "p_value",
            "",
            None,
            description="of that null: dependence by chance",
            lowest=0,
            highest=1,
            p_value=True,
        ),
        Metric("shift", "", None, description="p(a | a_nn = 0) - p(a)", lowest=-1, highest=1),
        share("prevalence", "p(a)", None),
        share("identity_recall", "the nearest other image is of the same person"),
    )
    workload: ClassVar[str] = "embeds 100 images"

    def evaluate(  # type: ignore[override]
        self,
        method: Disentangler,
        data: Dataset,
        *,
        rng: torch.Generator,
        clock: Clock,
        count: int | None = None,
        exclude_identity: bool = False,
        resamples: int = 500,
        permutations: int = 200,
    ) -> Measurement:
        """Look at the first `count` test images (None: all).

        exclude_identity: whether neighbours are of another person. resamples: of the bootstrap over people.
        permutations: of the null distribution; no p-value can be below 1 / (permutations + 1).
        """
        _check(count, resamples, permutations)
        people = data.test.identity
        if exclude_identity and people is None:
            raise Unsupported(f"data set {data.name!r} has no identities to exclude")
        timed = data.test.x[torch.arange(TIMED, device=data.test.x.device) % len(data.test)]
        clock.measure(lambda: coded.encode_images(method, timed))
        if clock.timing_only:
            return Measurement()

        streams = Streams(rng)
        names, attributes, notes = binary_attributes(data, count)
        points = coded.encode(method, data.test, count)
        clusters = clusters_of(data.test, count)
        excluded = people[: len(points)] if exclude_identity and people is not None else None
        neighbours = nearest_others(points, excluded).cpu().numpy()
        pairs = statistics.counts_of(attributes, neighbours)
        found = statistics.dependence(pairs)
        counts = statistics.counts_by_cluster(attributes, neighbours, clusters)
        drawn = statistics.resampled(counts, resamples, numpy_generator(streams("bootstrap")))
        null = statistics.shuffled(
            attributes,
            neighbours,
            clusters if exclude_identity else None,
            permutations,
            numpy_generator(streams("null")),
        )
        contributions = information_contributions(attributes, neighbours)
        values = [
            mean_value("information", "", contributions, clusters),
            labels_used(method),
            *of_attributes(names, found, drawn, null, len(points)),
        ]
        if people is not None and not exclude_identity:
            same = (clusters[neighbours] == clusters).astype(float)
            values.append(mean_value("identity_recall", "", same, clusters))
        return Measurement(
            values=bounded(values, self.metrics),
            scores={"examples": by_cluster(contributions, clusters)},
            arrays=kept(names, found, drawn, null),
            notes=[*notes, *at_their_largest(names, pairs)],
        )

    def check_parameters(self, **parameters: Any) -> None:
        """UserError for too few images, resamples or permutations."""
        _check(*(parameters[name] for name in ("count", "resamples", "permutations")))

    def draw(self, records: Sequence[Record], arrays: Sequence[Mapping[str, Array]]) -> dict[str, Figure]:
        """Attributes by divergence, with intervals and what chance makes (Fig. 15)."""
        return draw(records, arrays)

    def findings(self, records: Sequence[Record]) -> list[str]:
        """Which attributes each embedding follows most."""
        return findings(records)


def _check(count: int | None, resamples: int, permutations: int) -> None:
    if (count is not None and count < 20) or resamples < 100 or permutations < 20:
        raise UserError(
            f"attribute_structure: count = {count} (20 or more), resamples = {resamples} (100 or more), "
            f"permutations = {permutations} (20 or more)"
        )


def information_contributions(attributes: Array, neighbours: Array) -> Array:
    """(n,): mean and spread are those of the mean over attributes of I(a; a_nn) / H(a) (delta method)."""
    total: Array = np.zeros(len(attributes))
    for column in attributes.T:
        surprise = pointwise_information(column, column)
        shared = pointwise_information(column, column[neighbours])
        ratio = shared.mean() / surprise.mean()
        total += ratio + (shared - ratio * surprise) / surprise.mean()
    total /= attributes.shape[1]
    return total


def at_their_largest(names: tuple[str, ...], pairs: Array) -> list[str]:
    """A note on attributes that no image has whose neighbour has it not, by counts (k, 4): their divergence
    grows as (log n) / 2 with the number of images, and tells nothing more of the attribute.
    """
    full = [name for name, (_, _, only_own, _) in zip(names, pairs) if not only_own]
    return [f"kl is as large as so many images allow: {', '.join(full)}"] if full else []


def of_attributes(
    names: tuple[str, ...], found: statistics.Dependence, drawn: statistics.Dependence, null: Array, n: int
) -> list[Value]:
    """Every metric of every attribute with its bootstrap interval; of the null its own quantiles."""
    values = []
    for j, name in enumerate(names):
        for metric in ("information", "kl", "shift", "p"):
            table, resamples = getattr(found, metric), getattr(drawn, metric)
            interval = measures.percentile(float(table[j]), resamples[:, j])
            shown = "prevalence" if metric == "p" else metric
            values.append(Value(shown, name, interval.value, n, interval.low, interval.high))
        low, high = np.quantile(null[:, j], (0.025, 0.975))
        values.append(Value("null_kl", name, float(null[:, j].mean()), n, float(low), float(high)))
        above = 1 + int(np.count_nonzero(null[:, j] >= found.kl[j]))
        values.append(Value("p_value", name, above / (1 + len(null)), n))
    mean = measures.percentile(float(found.kl.mean()), drawn.kl.mean(axis=1))
    return [Value("kl", "", mean.value, n, mean.low, mean.high), *values]
