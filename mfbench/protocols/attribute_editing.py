"""Attribute editing: does setting one dimension of a code change one attribute of the image, and it alone?

Question. When the dimension that stands for an attribute is set to another value and the code is decoded,
does an independent classifier see the new value, and everything else as it was?

Needs. A disentangler, images with attributes, and a classifier that tells the attributes.

Measurement. Dimension and places of an attribute's values are found on validation images. On test images each
attribute is edited by itself, to its other value (among several, to one drawn at random). The classifier,
fitted to the same training images and told nothing of the method, judges the decoded images: success times
the share of the other attributes preserved, relative to the unedited reconstruction, is the primary metric,
so that neither doing nothing nor another image altogether is worth anything. Beside it: success and
preservation apart, relative to the truth as well, the change outside of the attribute's region where it is
known, edits that make combinations which training images never or rarely show, and what the attributes left
out of a partially guided model do.

References. Tu et al. 2023, Fig. 10 and 12 to 14; He et al. 2019 (AttGAN), for classifiers as judges.
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
    Disentangler,
    EvaluationProtocol,
    KnowsAttributes,
    Measurement,
    Metric,
    PredictsAttributes,
    Record,
    Ref,
    Value,
)
from mfbench.errors import Unsupported, UserError
from mfbench.measures.convert import numpy_generator
from mfbench.protocols import codes as coded
from mfbench.protocols import editing_figures as figures
from mfbench.protocols import editing_locality as local
from mfbench.protocols.clusters import by_cluster, clusters_of, mean_value
from mfbench.protocols.disentanglement_measures import ACTIVE
from mfbench.protocols.draws import Streams
from mfbench.protocols.editing_editor import Editor, judge_of
from mfbench.protocols.editing_handles import Handle, handles, with_places
from mfbench.protocols.editing_outcomes import Outcomes, met_in_training
from mfbench.protocols.probe import balanced_contributions
from mfbench.protocols.semantic_metrics import LABELS, bounded, labels_used, share

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[Any]

TIMED = 100
"""Images that one timed call encodes, edits and decodes."""


class AttributeEditing(EvaluationProtocol):
    """Attributes changed through the code, judged by an independent classifier."""

    kind: ClassVar[str] = "disentangler"
    metrics: ClassVar[tuple[Metric, ...]] = (
        share("edit_quality", "success times share of the other attributes preserved", primary=True),
        LABELS,
        share("success", "the classifier sees the value asked for"),
        share("preserved", "other attributes told as on the unedited reconstruction"),
        share("preserved_truth", "other attributes told as they are on the image"),
        share("change_outside", "share of the squared change outside of the attribute's region", "lower"),
        share("flipped", "the classifier's answer is another one than on the reconstruction", None),
        share("reconstruction_agreement", "the unedited reconstruction shows the true value"),
        share("classifier_accuracy", "of the classifier on the images themselves", None),
        share("probe_accuracy", "balanced accuracy of a linear probe on all codes"),
        Metric("variance", "", None, description="of the dimension that is edited", lowest=0),
        share("semantic_entropy", "of which attribute a dimension changes, over images", "lower"),
        share("local_entropy", "of which attribute a dimension changes on one image", "lower"),
    )
    workload: ClassVar[str] = "encodes, edits and decodes 100 images"

    def evaluate(  # type: ignore[override]
        self,
        method: Disentangler,
        data: Dataset,
        *,
        rng: torch.Generator,
        clock: Clock,
        classifier: Annotated[Ref, "defense"] = "attribute_cnn",
        count: int = 300,
        attributes: Sequence[str] | None = None,
        left_out: Sequence[str] | None = None,
        strength: float = 1.0,
        locality: int = 100,
    ) -> Measurement:
        """Edit the first `count` test images.

        classifier: a judge with the ability PredictsAttributes. attributes: those edited (None: all).
        left_out: those that did not guide a partially guided method, reported as a group. strength: 1 edits
        to the mean code of a value; more goes beyond it. locality: images for the entropies; 0: none.
        """
        _check_numbers(count, strength, locality, attributes)
        _check_judge(classifier)
        if isinstance(method, KnowsAttributes):
            raise Unsupported(f"{type(method).__name__} cannot be shown the attributes of an edited image")
        asked = coded.factors_of(data.test, data.name, attributes)
        streams = Streams(rng)
        timed = data.test.x[torch.arange(TIMED, device=data.test.x.device) % len(data.test)]
        clock.measure(lambda: _edit_first(method, timed, data.shape))
        if clock.timing_only:
            return Measurement()

        asked, notes = coded.varying(asked, asked.of(data.val), asked.of(data.test)[:count])
        _known(left_out or (), asked.names)
        codes, on_val = coded.encode(method, data.test, count), coded.encode(method, data.val)
        found = handles(on_val, asked.of(data.val), strength)
        judge = judge_of(classifier, asked, data.test.attributes)
        editor = Editor(method, data, codes, asked, found, judge)
        outcomes = editor.outcomes(numpy_generator(streams("targets")))

        unseen, rare = met_in_training(asked.of(data.train), outcomes.truth, outcomes.target)
        some = codes[:locality]
        values = [
            *outcomes.values(tuple(left_out or ())),
            labels_used(method),
            *outcomes.of_sort("success", "unseen pairs", unseen),
            *outcomes.of_sort("success", "rare pairs", rare),
            *(outcomes.of_sort("success", "usual pairs", ~(unseen | rare)) if (unseen | rare).any() else []),
            *_probes(on_val, asked.of(data.val), codes, outcomes, left_out or ()),
            *_variances(codes, found, outcomes),
        ]
        if locality:
            changed = local.changes(some, on_val, editor.judge_codes)
            values += local.values(changed, clusters_of(data.test, len(some)))
        return Measurement(
            values=bounded(values, self.metrics),
            scores={"examples": by_cluster(outcomes.quality.mean(axis=1), outcomes.clusters)},
            arrays=figures.kept(editor, outcomes, tuple(left_out or ())),
            notes=[*notes, *_collapsed(codes, found, asked.names)],
        )

    def check_parameters(self, **parameters: Any) -> None:
        """UserError for too few images, edits of no strength, and an attribute that is named twice."""
        _check_numbers(*(parameters[name] for name in ("count", "strength", "locality", "attributes")))

    def draw(self, records: Sequence[Record], arrays: Sequence[Mapping[str, Array]]) -> dict[str, Figure]:
        """Edits of some images, sweeps of attributes, and success over preservation."""
        return figures.draw(records, arrays)


def _check_numbers(count: int, strength: float, locality: int, attributes: Sequence[str] | None) -> None:
    if count < 20 or locality < 0 or not strength > 0:
        raise UserError(
            f"attribute_editing: count = {count} (20 or more), strength = {strength:g} (above 0), "
            f"locality = {locality} (0 or more)"
        )
    coded.distinct("attribute_editing", "attributes", attributes)


def _check_judge(classifier: Any) -> None:
    if not isinstance(classifier, PredictsAttributes):
        raise UserError(
            f"attribute_editing: classifier = {type(classifier).__name__} does not tell attributes; "
            "one with the ability PredictsAttributes, as the defense attribute_cnn, is right"
        )


def _known(left_out: Sequence[str], names: Sequence[str]) -> None:
    for name in left_out:
        if name not in names:
            raise UserError(
                f"attribute_editing: left_out names {name!r}, which is none of {', '.join(names)}"
            )


def _edit_first(method: Disentangler, x: Tensor, shape: tuple[int, ...]) -> Tensor:
    codes = coded.encode_images(method, x)
    return coded.decode(method, with_places(codes, [(0, float(codes[:, 0].mean()))]), shape)


def _probes(
    on_val: Tensor, truth_val: Array, codes: Tensor, outcomes: Outcomes, left_out: Sequence[str]
) -> list[Value]:
    """Linear probes fitted to validation codes, on test codes: of every attribute, and of the groups."""
    known, unseen = coded.as_codes(on_val), coded.as_codes(codes)
    each = [
        balanced_contributions(known, truth_val[:, j], unseen, outcomes.truth[:, j])
        for j in range(len(outcomes.names))
    ]
    table = np.stack(each, axis=1)
    out = np.isin(outcomes.names, list(left_out))
    groups = {"": np.ones(len(out), dtype=bool)}
    groups |= {"left out mean": out, "given mean": ~out} if out.any() else {}
    groups |= {name: np.arange(len(out)) == j for j, name in enumerate(outcomes.names)}
    return [
        mean_value("probe_accuracy", part, table[:, which].mean(axis=1), outcomes.clusters)
        for part, which in groups.items()
        if which.any()
    ]


def _variances(codes: Tensor, found: Sequence[Handle], outcomes: Outcomes) -> list[Value]:
    values = []
    for handle, name in zip(found, outcomes.names):
        column = coded.as_codes(codes)[:, handle.dimension]
        values.append(mean_value("variance", name, (column - column.mean()) ** 2, outcomes.clusters))
    return values


def _collapsed(codes: Tensor, found: Sequence[Handle], names: Sequence[str]) -> list[str]:
    """A note on attributes whose dimension says nothing, so that nothing can come of an edit."""
    variance = coded.as_codes(codes).var(axis=0)
    dead = [name for handle, name in zip(found, names) if variance[handle.dimension] < ACTIVE]
    return [f"dimension collapsed (variance below {ACTIVE:g}): {', '.join(dead)}"] if dead else []
