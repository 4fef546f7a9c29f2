"""Patch robustness: what is left of a defense under attackers that know it?

Question. An attacker may change every pixel inside one patch of an image to any value, in the worst of
several places. How often does the defense still answer rightly, each image under its worst attack?

Needs. A defense; a ladder of attacks, from ones that only know the classifier to ones that follow the
defense's own steps.

Measurement. The first `count` test images. An attack on the classifier alone (`transfer`), whose images also
meet the defense; then each attack against the defense. What an attack found is fixed, and scored again with
`draws` fresh draws where the defense is random. An image counts with the share of right draws under its
worst attack, the clean image included: the mean is the primary metric. Beside it: clean accuracy with and
without the defense, accuracy under each attack, the attack that is worst on half of the images on the other
half, certified accuracy, whether an independent classifier sees in the reconstruction what the defense
says, evaluations an attack takes, and sanity checks, which flag the row.

A defense through which no gradient comes, and that tells attackers nothing else, is provisional and unranked
until an attack is written for it.

References. Tu et al. 2023, section 4; Croce et al. 2022; Carlini et al. 2019; Xiang et al. 2022.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import torch
from numpy.typing import NDArray
from torch import Tensor

from mfbench.contracts import (
    Clock,
    Dataset,
    Defense,
    EvaluationProtocol,
    Measurement,
    Metric,
    Record,
    Ref,
    Threat,
)
from mfbench.errors import Unsupported
from mfbench.protocols.draws import Streams
from mfbench.protocols.robust_evaluation import Plan, check_numbers, measure
from mfbench.protocols.robust_figures import draw
from mfbench.protocols.robust_findings import findings
from mfbench.protocols.robust_metrics import METRICS
from mfbench.threats import MaskFamily, patch_masks

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[Any]

_LARGE = (1, 1024, 1024)
"""A shape by which patches are checked before there are data; on fewer pixels one can still vanish."""
TIMED = 100
"""Images that one timed call defends."""


class PatchRobustness(EvaluationProtocol):
    """Accuracy under the worst of several attacks inside a patch."""

    kind: ClassVar[str] = "defense"
    metrics: ClassVar[tuple[Metric, ...]] = METRICS
    workload: ClassVar[str] = "defends 100 images"

    def evaluate(  # type: ignore[override]
        self,
        method: Defense,
        data: Dataset,
        *,
        rng: torch.Generator,
        clock: Clock,
        attacks: Annotated[Sequence[Ref], "attack"] = ("ladder",),
        transfer: Annotated[Ref, "attack"] = "patch_pgd",
        written_for: Annotated[Sequence[Ref], "attack"] | None = None,
        probe: Annotated[Ref, "attack"] = "bpda",
        classifier: Annotated[Ref, "defense"] | None = None,
        masks: MaskFamily = "worst_of_n",
        area: float = 0.125,
        aspect: float = 2.0,
        positions: int = 9,
        steps: int = 200,
        restarts: int = 1,
        queries: int = 1000,
        count: int = 500,
        checked: int = 64,
        draws: int = 20,
    ) -> Measurement:
        """Attack the first `count` test images (all where there are fewer).

        masks, area, aspect, positions: of the patch (`mfbench.patch_masks`). steps, restarts, queries: what
        each attack may spend at most. transfer: made against the classifier alone. attacks: against the
        defense. written_for: further ones, made for this very defense. probe: by which sanity is checked, on
        `checked` images (0: not at all). classifier: an independent one, for semantic consistency.
        """
        streams = Streams(rng)
        clock.measure(lambda: defended(method, data, streams))
        if clock.timing_only:
            return Measurement()
        if len(data.shape) != 3:
            raise Unsupported(
                f"patch_robustness needs images with classes; {data.name} has shape {data.shape}"
            )
        budget = {"steps": steps, "restarts": restarts, "queries": queries}
        family: dict[str, Any] = {"aspect": aspect, "positions": positions}
        whole, half = (
            patch_masks(masks, data.shape, area=size, rng=streams("masks"), **family)
            for size in (area, area / 2)
        )
        threat = Threat(masks=whole.to(rng.device), budget=budget)
        smaller = replace(threat, masks=half.to(rng.device))
        plan = Plan(
            "patch_robustness",
            transfer,
            attacks,
            written_for,
            probe,
            classifier,
            count=count,
            checked=checked,
            draws=draws,
            budget=budget,
        )
        return measure(plan, method, data, threat, smaller, streams)

    def check_parameters(self, **parameters: Any) -> None:
        """UserError for a patch that no image can have, and for counts and budgets below their least."""
        family = {name: parameters[name] for name in ("area", "aspect", "positions")}
        patch_masks(parameters["masks"], _LARGE, rng=torch.Generator(), **family)
        check_numbers("patch_robustness", parameters)

    def draw(self, records: Sequence[Record], arrays: Sequence[Mapping[str, Array]]) -> dict[str, Figure]:
        """Clean, attacked and purified images; their ways through feature space; accuracy over steps."""
        return draw(records, arrays)

    def findings(self, records: Sequence[Record]) -> list[str]:
        """What transfer attacks promise and adaptive ones leave; who is provisional, and who is flagged."""
        return findings(records)


def defended(method: Defense, data: Dataset, streams: Streams) -> Tensor:
    """The answer to TIMED test images, the first ones repeated where there are fewer."""
    x = data.test.x
    rows = torch.arange(TIMED, device=x.device) % len(x)
    return method.defended_logits(x[rows], rng=streams("timing"))
