"""Defenses that paint parts of the image over and ask again.

Random masking votes over random boxes. Double masking (PatchCleanser: Xiang, Mahloujifar and Mittal, USENIX
Security 2022) takes masks of which one surely covers the patch, and proves some of its answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import torch
from torch import Tensor

from mfbench import Certifies, DataSpec, HasSurrogate, Ref, Threat, UserError
from mfbench_defenses.arguments import require_at_least, required
from mfbench_defenses.boxes import box_masks, boxes_of, painted
from mfbench_defenses.classifying import BeforeClassifier

_AT_ONCE = 4096
"""Masked images classified at once."""


class RandomMasking(BeforeClassifier):
    """The mean of the logits of `copies` copies, each with a random box painted over; random at test time.

    A box has a share `area` of the image, with sides in the image's proportion.
    """

    deterministic = False

    def __init__(
        self,
        classifier: Annotated[Ref, "defense"] = "cutout_cnn",
        copies: int = 16,
        area: float = 0.25,
        fill: float = 0.5,
    ) -> None:
        super().__init__(classifier)
        require_at_least("random_masking", 1, copies=copies)
        if not 0 < area < 1:
            raise UserError(f"random_masking: area = {area:g}: between 0 and 1")
        self.copies = copies
        self.area = area
        self.fill = fill

    def purify(self, x: Tensor, *, rng: torch.Generator | None = None) -> Tensor:
        """One random box painted over."""
        height, width = x.shape[2:]
        box = max(1, round(height * self.area**0.5)), max(1, round(width * self.area**0.5))
        return painted(x, boxes_of(len(x), box, (height, width), required(rng)), self.fill)

    def defended_logits(self, x: Tensor, *, rng: torch.Generator | None = None) -> Tensor:
        copies = self.purify(x.repeat(self.copies, 1, 1, 1), rng=rng)
        logits = self.logits(copies)
        return logits.view(self.copies, len(x), -1).mean(0)


class DoubleMasking(BeforeClassifier, Certifies, HasSurrogate):
    """PatchCleanser's two rounds of masks, of which one covers any patch of the given size.

    First round: the image under each of the masks; where all agree, that is the answer. Otherwise each mask
    whose label is not the majority's is tried together with every other: a minority label on which all of
    those agree is the answer, and the majority's otherwise. An answer is certified where the classifier is
    right under all pairs of masks (their theorem 1), if each of the threat's masks lies inside one of ours.

    `patch`: (height, width) in pixels, None: a quarter of the height, half of the width. `masks`: a side.
    `defended_logits` are the mean logits of the first round, with the answer's raised above all others; the
    stand-in for attackers is that mean itself.
    """

    def __init__(
        self,
        classifier: Annotated[Ref, "defense"] = "cutout_cnn",
        patch: Sequence[int] | None = None,
        masks: int = 4,
        fill: float = 0.5,
    ) -> None:
        super().__init__(classifier)
        require_at_least("double_masking", 1, masks=masks)
        if patch is not None and (len(patch) != 2 or min(patch) < 1):
            raise UserError(
                f"double_masking: patch = {list(patch)}: height and width in pixels, at least 1 each"
            )
        self.patch = None if patch is None else (patch[0], patch[1])
        self.count = masks
        self.fill = fill

    def build(self, spec: DataSpec) -> None:
        super().build(spec)
        height, width = spec.shape[1:]
        patch = self.patch or (max(1, height // 4), max(1, width // 2))
        if patch[0] > height or patch[1] > width:
            raise UserError(f"double_masking: a patch of {patch} pixels on images of {(height, width)}")
        self.masks = covering_masks((height, width), patch, self.count).to(spec.device)

    def defended_logits(self, x: Tensor, *, rng: torch.Generator | None = None) -> Tensor:
        first = self._first_round(x)
        mean = first.mean(1)
        answer = self._answers(x.detach(), first.detach().argmax(2))
        short = mean.amax(1) - mean.gather(1, answer[:, None])[:, 0] + 1
        return mean.scatter_add(1, answer[:, None], short.detach()[:, None])

    def surrogate_logits(self, x: Tensor, *, rng: torch.Generator | None = None) -> Tensor:
        return self._first_round(x).mean(1)

    def _first_round(self, x: Tensor) -> Tensor:
        """(n, masks, classes): logits under one mask each."""
        return torch.stack([self.logits(self._under(x, mask)) for mask in self.masks], dim=1)

    def _under(self, x: Tensor, mask: Tensor) -> Tensor:
        return painted(x, mask.expand(len(x), -1, -1), self.fill)

    @torch.no_grad()
    def _answers(self, x: Tensor, labels: Tensor) -> Tensor:
        """(n,) of labels (n, masks) under one mask."""
        votes = torch.zeros(len(x), self.classes, device=x.device, dtype=torch.int64)
        votes.scatter_add_(1, labels, torch.ones_like(labels))
        majority = votes.argmax(1)
        answers = majority.clone()
        settled = torch.zeros_like(majority, dtype=torch.bool)
        for place, mask in enumerate(self.masks):
            tried = (~settled & (labels[:, place] != majority)).nonzero()[:, 0]
            if len(tried):
                agree = self._agree(self._under(x[tried], mask), labels[tried, place])
                answers[tried] = torch.where(agree, labels[tried, place], answers[tried])
                settled[tried] = agree
        return answers

    def _agree(self, x: Tensor, labels: Tensor) -> Tensor:
        """(n,) bool: x, one mask painted already, has its label under each further mask, too."""
        agree = torch.ones(len(x), dtype=torch.bool, device=x.device)
        for mask in self.masks:
            left = agree.nonzero()[:, 0]
            for rows in torch.split(left, _AT_ONCE):
                agree[rows] = self.logits(self._under(x[rows], mask)).argmax(1) == labels[rows]
        return agree

    @torch.no_grad()
    def certify(self, x: Tensor, y: Tensor, threat: Threat) -> Tensor:
        """False for all where one of the threat's masks is inside none of ours."""
        certified = torch.zeros(len(x), dtype=torch.bool, device=x.device)
        if threat.masks is None or not covers(self.masks, threat.masks.to(self.masks.device)):
            return certified
        rows = torch.arange(len(x), device=x.device)
        for mask in self.masks:
            rows = rows[self._agree(self._under(x[rows], mask), y[rows])]
        certified[rows] = True
        return certified


def covering_masks(size: tuple[int, int], patch: tuple[int, int], count: int) -> Tensor:
    """(m, h, w) bool, at most count^2 boxes: any place of a patch lies wholly inside one of them.

    Along a side of n pixels a patch of p has n - p + 1 places; boxes at multiples of the stride s =
    ceil((n - p + 1) / count), p + s - 1 long, cover s places each (their section 3.3).
    """
    axes = []
    for length, part in zip(size, patch):
        stride = -(-(length - part + 1) // count)
        extent = min(part + stride - 1, length)
        starts = sorted({min(place, length - extent) for place in range(0, length - part + 1, stride)})
        axes.append((torch.tensor(starts), extent))
    (tops, height), (lefts, width) = axes
    top, left = (places.flatten() for places in torch.meshgrid(tops, lefts, indexing="ij"))
    return box_masks(top, left, torch.full_like(top, height), torch.full_like(left, width), size)


def covers(masks: Tensor, patches: Tensor) -> bool:
    """Whether each of the patches (p, h, w) lies inside one of the masks (m, h, w)."""
    outside = (patches[:, None] & ~masks[None]).flatten(2).any(2)
    return bool((~outside).any(1).all())
