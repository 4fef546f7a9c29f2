"""Patches cut from other classes' images, without gradients: what every defense should bear."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from mfbench import Dataset, Progress, Threat, Unsupported, UserError
from mfbench_attacks.answers import Answers
from mfbench_attacks.arguments import limited, require_at_least
from mfbench_attacks.ascent import Best
from mfbench_attacks.gradient_attack import ImageAttack
from mfbench_attacks.placement import boxes_of, draw, shifted
from mfbench_attacks.rows import confined, masks_of


@dataclass(kw_only=True, eq=False)
class Paste(ImageAttack):
    """Tries `queries` patches an image, the worst of which counts: in turn a piece of a training image of
    another class, cut where the mask lies, and that whole image made as small as the patch.

    `donors`: training images that are kept to cut from, drawn once. `draws`: of a random defense, over which
    a patch's margin is averaged, as the luckiest of many single draws says little. `chunk`: images at once.
    """

    who: ClassVar[str] = "paste"
    gradient_free: ClassVar[bool] = True

    queries: int = 100
    donors: int = 500
    draws: int = 4
    chunk: int = 1024

    def __post_init__(self) -> None:
        counts = {"queries": self.queries, "donors": self.donors, "draws": self.draws}
        require_at_least(self.who, 1, **counts, chunk=self.chunk)
        self.images: Tensor | None = None

    def fit(self, data: Dataset, *, rng: torch.Generator, progress: Progress) -> None:
        """Keeps the donors; Unsupported where images have no labels."""
        if data.train.y is None:
            raise Unsupported(f"paste cuts from images of other classes; {data.name} has no labels")
        rows = torch.randperm(len(data.train), generator=rng, device=rng.device)[: self.donors]
        rows = rows.to(data.train.x.device)
        self.images, self.labels = data.train.x[rows], data.train.y[rows]

    def candidates(self, x: Tensor, threat: Threat) -> int:
        return 1

    def attacked(self, answers: Answers, x: Tensor, y: Tensor, threat: Threat) -> Tensor:
        donors = self._donors(x, y)
        masks = masks_of(x, threat)
        boxes = boxes_of(masks)
        small = _reduced(donors, boxes[0])
        draws = self.draws if answers.says_random else 1
        best = Best(x, answers.margins(x, y, draws))
        for query in range(limited(self.queries, threat, "queries")):
            rows = self._others(y, answers.rng)
            place = draw(len(x), len(masks), answers.rng, x.device)
            content = donors[rows]
            if query % 2:
                content = shifted(small[rows], boxes[place, 0], boxes[place, 1])
            found = confined(x, y, masks[place], threat.radius).project(content)
            best = best.update(found, answers.margins(found, y, draws))
        return best.x

    def _donors(self, x: Tensor, y: Tensor) -> Tensor:
        if self.images is None:
            raise UserError("paste cuts from training images: call fit first")
        missing = [label for label in sorted(set(y.tolist())) if not bool((self.labels != label).any())]
        if missing:
            raise Unsupported(
                f"paste: of {len(self.labels)} donors none is of another class than {missing[0]}"
            )
        return self.images.to(x)

    def _others(self, y: Tensor, rng: torch.Generator) -> Tensor:
        """(n,): for each label a donor of another class, all equally likely."""
        other = (y[:, None] != self.labels.to(y.device)).double().to(rng.device)
        return torch.multinomial(other, 1, generator=rng)[:, 0].to(y.device)


def _reduced(images: Tensor, box: Tensor) -> Tensor:
    """Whole images made as small as the box, in the corner of an image that is black elsewhere."""
    height, width = int(box[2]), int(box[3])
    small = interpolate(images, (height, width), mode="bilinear", align_corners=False, antialias=True)
    canvas = torch.zeros_like(images)
    canvas[:, :, :height, :width] = small.clamp(0, 1)
    return canvas
