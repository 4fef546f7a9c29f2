"""Disentanglement: does each dimension of a code stand for one attribute, and each attribute for one?

Question. On images that nobody was fitted to, how far do the dimensions of a code, and the symbols of the
message read from it, tell the known factors of variation apart?

Needs. A disentangler, and a data set with attributes.

Measurement. Codes of the test images are held against their attributes by the mutual information gap, by
which methods are ranked, and by the other measures of the literature, which agree in part only; measures that
learn a predictor do so on two thirds of the test images and are judged on the last. Messages are held against
the attributes by topographic similarity, posdis and bosdis, and by grid accuracy under the best assignment of
dimensions to attributes and of symbols to values, which is made on validation images. Reconstruction error
and active dimensions stand beside them. Methods are ranked among those that used as many labels.

References. Locatello et al. 2019; Tu et al. 2023, Fig. 9 and 10; Chaabouni et al. 2020; see docs/measures.md.
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
from mfbench.protocols import codes as coded
from mfbench.protocols import disentanglement_measures as measured
from mfbench.protocols.clusters import clusters_of, mean_value
from mfbench.protocols.disentanglement_figures import draw, kept
from mfbench.protocols.semantic_metrics import LABELS, bounded, labels_used, share

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[Any]

TIMED = 100
"""Images that one timed call encodes."""
CELLS = 1000
"""Combinations of values up to which cells of the grid are assigned to them one to one."""
FEWEST_FOR_TREES = 30
"""Images for DCI: with fewer a factor may have one value among those to learn from."""
MOST_GROUPS = 100
"""Parts of the jackknife: each is one more computation of all slower metrics."""


class Disentanglement(EvaluationProtocol):
    """Codes and messages against the known factors of variation."""

    kind: ClassVar[str] = "disentangler"
    metrics: ClassVar[tuple[Metric, ...]] = (
        share("mig", "mutual information gap", primary=True),
        LABELS,
        share("grid_accuracy", "all factors told by the message, assigned by axes"),
        share("cell_accuracy", "all factors told by the message, assigned by cells"),
        share("factor_accuracy", "a factor told by the message, assigned by axes"),
        share("sap", "separated attribute predictability"),
        share("dci_disentanglement", "a code matters to one factor"),
        share("dci_completeness", "a factor rests on one code"),
        share("dci_informativeness", "accuracy of gradient boosted trees on all codes"),
        share("infom", "a code is informed of one factor"),
        share("infoc", "a factor is in one code"),
        share("infoe", "information that a logistic regression extracts"),
        share("factor_vae", "the code of least variance tells the fixed factor"),
        share("modularity", "a code is informed of one factor, squared"),
        share("explicitness", "area under the curve of a logistic regression on all codes"),
        Metric("topographic_similarity", lowest=-1, highest=1, description="messages differ as factors do"),
        share("posdis", "a position tells of one factor"),
        share("bosdis", "a symbol's count tells of one factor"),
        Metric("reconstruction", "", "lower", description="mean square error a pixel", lowest=0),
        Metric("active_dimensions", "", None, description="codes with a variance above 0.01", lowest=0),
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
        factors: Sequence[str] | None = None,
        groups: int = 5,
        trees: int = 1000,
    ) -> Measurement:
        """Measure on the first `count` test images (None: all), about these attributes (None: all).

        groups: parts that the jackknife of the slower metrics leaves out in turn. trees: images for DCI, by
        far the slowest; 0: none.
        """
        _check(count, factors, groups, trees)
        asked = coded.factors_of(data.test, data.name, factors)
        timed = data.test.x[torch.arange(TIMED, device=data.test.x.device) % len(data.test)]
        clock.measure(lambda: coded.encode_images(method, timed))
        if clock.timing_only:
            return Measurement()

        asked, notes = coded.varying(asked, asked.of(data.val), asked.of(data.test)[:count])
        codes, on_val = coded.encode(method, data.test, count), coded.encode(method, data.val)
        if codes.shape[1] < 2:
            raise Unsupported("codes of a single dimension have no gap: two or more are needed")
        truth, truth_val = asked.of(data.test)[:count], asked.of(data.val)
        most = max(len(np.unique(column)) for column in truth_val.T)
        reader = coded.reader(method, on_val, most)
        message = reader.message(data.test.x[:count], codes)
        message_val = reader.message(data.val.x, on_val)
        told = measured.Told(coded.as_codes(codes), message, truth, clusters_of(data.test, count))

        value, scores = measured.primary(told)
        sorts = measured.by_combination(asked.of(data.train), truth)
        grid, more = grid_values(message_val, truth_val, told, asked.names, sorts)
        images = coded.decode(method, codes, data.shape)
        values = [value, labels_used(method), *grid, *measured.of_codes(told, groups)]
        values += measured.of_trees(told, trees, groups) if trees and len(asked.names) > 1 else []
        values += measured.of_messages(told, groups)
        values += measured.reconstruction(images, data.test.x[:count], told, sorts)
        return Measurement(
            values=bounded(values, self.metrics),
            scores={"examples": scores},
            arrays=kept(method, told, asked.names, data, codes),
            notes=[*notes, *reader.note(most), *more],
        )

    def check_parameters(self, **parameters: Any) -> None:
        """UserError for too few images or groups, and for a factor that is named twice."""
        _check(*(parameters[name] for name in ("count", "factors", "groups", "trees")))

    def draw(self, records: Sequence[Record], arrays: Sequence[Mapping[str, Array]]) -> dict[str, Figure]:
        """Codes on the grid, information of codes about factors, and traversals of the code."""
        return draw(records, arrays)


def _check(count: int | None, factors: Sequence[str] | None, groups: int, trees: int) -> None:
    who = "disentanglement"
    if count is not None and count < 100:
        raise UserError(f"{who}: count is {count}; at least 100 images are needed")
    if not 2 <= groups <= MOST_GROUPS:
        raise UserError(f"{who}: groups = {groups}: 2 to {MOST_GROUPS}")
    if trees and trees < FEWEST_FOR_TREES:
        raise UserError(f"{who}: trees = {trees}: 0 (no DCI), or {FEWEST_FOR_TREES} images and more")
    coded.distinct(who, "factors", factors)


def grid_values(
    message_val: Array,
    truth_val: Array,
    told: measured.Told,
    names: tuple[str, ...],
    sorts: Mapping[str, Array],
) -> tuple[list[Value], list[str]]:
    """Accuracies under assignments made on validation messages, and notes on what cannot be assigned.

    Cells are those of the axes that were assigned to factors, where there is one for each: what else is in
    a message would make every image a cell of its own.
    """
    values, notes, axes = [], [], list(range(message_val.shape[1]))
    if message_val.shape[1] < len(names):
        notes.append(f"{message_val.shape[1]} dimensions have no axis for each of {len(names)} factors")
    else:
        assignment = measures.assign_grid(message_val, truth_val, by="axes")
        values += measured.of_grid(assignment, told, names, sorts)
        axes = sorted(axis for piece in assignment.pieces for axis in piece[0])
    combinations = len(np.unique(truth_val, axis=0))
    if combinations > CELLS:
        notes.append(f"more than {CELLS} combinations of values: cells are not assigned to them")
        return values, notes
    try:
        cells = measures.assign_grid(message_val[:, axes], truth_val, by="cells")
    except ValueError as reason:  # too many cells
        return values, [*notes, str(reason)]
    right = cells.correct(told.message[:, axes], told.factors).all(axis=1).astype(float)
    return [*values, mean_value("cell_accuracy", "", right, told.clusters)], notes
