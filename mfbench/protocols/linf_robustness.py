"""l-infinity robustness: what is left of a defense when every pixel may change a little?

Question. An attacker may change each pixel of the whole image by at most `radius`. How often does the
defense still answer rightly, each image under its worst attack?

Needs and measurement. As for `patch_robustness`; the threat is another. The paper purifies within the same
bound (Eq. 30 with eps_th = radius).

References. Tu et al. 2023, section 4; Madry et al. 2018; Croce et al. 2022.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import torch
from numpy.typing import NDArray

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
from mfbench.errors import UserError
from mfbench.protocols.draws import Streams
from mfbench.protocols.patch_robustness import defended
from mfbench.protocols.robust_evaluation import Plan, check_numbers, measure
from mfbench.protocols.robust_figures import draw
from mfbench.protocols.robust_findings import findings
from mfbench.protocols.robust_metrics import METRICS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[Any]


class LinfRobustness(EvaluationProtocol):
    """Accuracy under the worst of several attacks within a ball of the maximum norm."""

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
        radius: float = 50 / 255,
        steps: int = 200,
        restarts: int = 1,
        queries: int = 1000,
        count: int = 500,
        checked: int = 64,
        draws: int = 20,
    ) -> Measurement:
        """Attack the first `count` test images, no pixel by more than `radius`; see `patch_robustness`."""
        _check(radius)
        streams = Streams(rng)
        clock.measure(lambda: defended(method, data, streams))
        if clock.timing_only:
            return Measurement()
        budget = {"steps": steps, "restarts": restarts, "queries": queries}
        threat = Threat(radius=radius, budget=budget)
        plan = Plan(
            "linf_robustness",
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
        return measure(plan, method, data, threat, threat, streams)

    def check_parameters(self, **parameters: Any) -> None:
        """UserError for a radius outside of (0, 1], and for counts and budgets below their least."""
        _check(parameters["radius"])
        check_numbers("linf_robustness", parameters)

    def draw(self, records: Sequence[Record], arrays: Sequence[Mapping[str, Array]]) -> dict[str, Figure]:
        """Clean, attacked and purified images; their ways through feature space; accuracy over steps."""
        return draw(records, arrays)

    def findings(self, records: Sequence[Record]) -> list[str]:
        """What transfer attacks promise and adaptive ones leave; who is provisional, and who is flagged."""
        return findings(records)


def _check(radius: float) -> None:
    if not 0 < radius <= 1:
        raise UserError(f"linf_robustness: radius is {radius:g}: above 0, at most 1")
