"""Reconstruction: what is left of an image that goes through a method's code?

Question. A method encodes an image it has not seen and decodes it again, at each of its levels of resolution.
How near is the result to the image of that level?

Needs. A generator that reconstructs (`Reconstructor`); images whose sides halve as often as levels are asked
for. Level 1 is the full size; the images of the next level are the means of 2 x 2 blocks.

Measurement. The first `count` images of the test split. At each level PSNR (range 1; the primary metric, at
the finest level asked for), SSIM and LPIPS of the reconstruction to the image of that level, as means over
images with Student's intervals.

References. Tu et al. 2023, Fig. 3 A; Wang et al. 2004 (SSIM); Zhang et al. 2018 (LPIPS).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from numpy.typing import NDArray
from torch import Tensor

from mfbench.contracts import (
    Clock,
    Dataset,
    EvaluationProtocol,
    Measurement,
    Metric,
    Reconstructor,
    Record,
    Value,
)
from mfbench.errors import Unsupported, UserError
from mfbench.protocols.checked import checked_samples
from mfbench.protocols.level_figures import draw_reconstructions, kept_pairs
from mfbench.protocols.levels import at_level, check_levels, require_images, require_levels, shape_at
from mfbench.protocols.likeness import LPIPS, SSIM, decibels, likeness, mean_value

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[Any]

TIMED = 1000
"""Images that one timed call reconstructs."""
_WHO = "reconstruction"


class Reconstruction(EvaluationProtocol):
    """PSNR and SSIM of reconstructed images, by level."""

    kind: ClassVar[str] = "generator"
    ability: ClassVar[type | None] = Reconstructor
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("psnr", "dB", "higher", primary=True, description="mean, to the image of the level", lowest=0),
        SSIM,
        LPIPS,
    )
    workload: ClassVar[str] = "reconstructs 1,000 images at the finest level"

    def evaluate(  # type: ignore[override]
        self,
        method: Any,
        data: Dataset,
        *,
        rng: torch.Generator,
        clock: Clock,
        levels: Sequence[int] = (1,),
        count: int | None = None,
    ) -> Measurement:
        """Reconstruct the first `count` images of `data.test` (None: all of them) at each of `levels`."""
        require_images(data, _WHO)
        if not isinstance(method, Reconstructor):
            raise Unsupported(f"{type(method).__name__} does not reconstruct images")
        check_levels(levels, data.shape, _WHO)
        x = tested(data, count, _WHO)
        finest = min(levels)
        timed = x[torch.arange(TIMED, device=x.device) % len(x)]
        clock.measure(lambda: method.reconstruct(timed, finest))
        if clock.timing_only:
            return Measurement()

        values: list[Value] = []
        scores: dict[str, Array] = {}
        arrays: dict[str, Array] = {}
        notes: list[str] = []
        for level in sorted(levels):
            part = "" if level == finest else f"level {level}"
            original, found = at_level(x, level), reconstructed(method, x, level)
            near = decibels(found, original)
            others, said = likeness(found, original, part)
            values += [mean_value("psnr", part, near), *others]
            notes += [f"level {level}: {text}" for text in said]
            scores = scores or {"test": near}
            arrays |= kept_pairs(original, found, level)
        return Measurement(values, scores, arrays, notes=notes)

    def check_parameters(self, **parameters: Any) -> None:
        """UserError for levels that no images have, and for fewer than two images."""
        require_levels(parameters["levels"], _WHO)
        require_two(parameters["count"], _WHO)

    def draw(self, records: Sequence[Record], arrays: Sequence[Mapping[str, Array]]) -> dict[str, Figure]:
        """Images and their reconstructions in pairs, level by level (Fig. 3 A)."""
        return draw_reconstructions(records, arrays)


def tested(data: Dataset, count: int | None, who: str) -> Tensor:
    """The first `count` images of the test split; UserError for fewer than two, Unsupported for too many."""
    require_two(count, who)
    if count is not None and count > len(data.test):
        raise Unsupported(f"{count} images are asked for, but the test split holds {len(data.test)}")
    return data.test.x[:count]


def require_two(count: int | None, who: str) -> None:
    """UserError for fewer than two images: they have no interval."""
    if count is not None and count < 2:
        raise UserError(f"{who}: count = {count}: at least 2")


def reconstructed(method: Reconstructor, x: Tensor, level: int) -> Tensor:
    """(n, c, h, w) of the level's size, checked, clamped to [0, 1]."""
    shape = (len(x), *shape_at(tuple(x.shape[1:]), level))
    found = checked_samples(method.reconstruct(x, level), shape, method, "reconstruct")
    return found.clamp(0, 1)
