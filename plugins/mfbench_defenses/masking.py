"""Defenses that paint parts of the image over and ask again.

Random masking votes over random boxes. Double masking (PatchCleanser: Xiang, Mahloujifar and Mittal, USENIX
Security 2022) takes masks of which one surely covers the patch, and proves some of its answers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

import torch
from torch import Tensor

from mfbench import Certifies, DataSpec, HasSurrogate, Ref, Threat, UserError
from mfbench_defenses.arguments import require_at_least, required
from mfbench_defenses.boxes import boxes_of, painted
from mfbench_defenses.classifying import BeforeClassifier
from mfbench_defenses.masks import band_of, checked_patch, covering_masks, holding, patch_on

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
    those agree is the answer, and the majority's otherwise. An answer is certified where, for each of the
    threat's masks, the classifier is right under one of ours that holds it paired with any of ours (what the
    proof of their theorem 1 uses).

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
        self.patch = checked_patch("double_masking", patch)
        self.count = masks
        self.fill = fill

    def build(self, spec: DataSpec) -> None:
        super().build(spec)
        patch = patch_on("double_masking", self.patch, spec.shape)
        self.masks = covering_masks((spec.shape[1], spec.shape[2]), patch, self.count).to(spec.device)

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
        majority = majority_of(labels, self.classes)
        found = self._proven(x, labels, labels != majority[:, None])
        return torch.where(found < 0, majority, found)

    def _proven(self, x: Tensor, labels: Tensor, allowed: Tensor) -> Tensor:
        """(n,): the first `allowed` one of labels (n, masks) that all pairs with its mask repeat, or -1."""
        found = torch.full_like(labels[:, 0], -1)
        for place, mask in enumerate(self.masks):
            tried = ((found < 0) & allowed[:, place]).nonzero()[:, 0]
            if len(tried):
                own = labels[tried, place]
                agree = self._agree(self._under(x[tried], mask), own)
                found[tried] = torch.where(agree, own, -1)
        return found

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
        """Right under a mask that holds the patch, and under it together with every other: for each of the
        threat's masks. False for all where one of those is inside none of ours.
        """
        certified = torch.ones(len(x), dtype=torch.bool, device=x.device)
        if threat.masks is None:
            return ~certified
        holds = holding(self.masks, threat.masks.to(self.masks.device))
        agree: dict[int, Tensor] = {}
        for candidates in holds:
            safe = torch.zeros_like(certified)
            for mask in candidates.nonzero()[:, 0].tolist():
                if mask not in agree:
                    agree[mask] = self._agree(self._under(x, self.masks[mask]), y)
                safe |= agree[mask]
            certified &= safe
        return certified


class BandMasking(DoubleMasking):
    """Double masking by bands across the whole image, and a scored answer where masks decide nothing.

    A band hides a patch of `height` rows (None: a quarter of the image) wherever it is; `masks` bands do, of
    a little more than its height, so that 11 take the place of a hundred boxes and two hide half of an image
    at most. Where no minority label holds under all pairs of masks, the majority's must; where it does not
    either, the answer is the class of the highest score

        s(c) = max_i min_j log p(c | bands i and j),

    as the band that hides the patch leaves nothing of it in any of its pairs, and spoils every other band's
    claim in one. The certificate is that of double masking. The stand-in for attackers is s, softened.
    """

    def __init__(
        self,
        classifier: Annotated[Ref, "defense"] = "masked_cnn",
        height: int | None = None,
        masks: int = 11,
        fill: float = 0.5,
    ) -> None:
        super().__init__(classifier, None, masks, fill)
        if height is not None:
            require_at_least("band_masking", 1, height=height)
        self.height = height

    def build(self, spec: DataSpec) -> None:
        super().build(spec)
        self.patch = band_of("band_masking", self.height, spec.shape)
        self.masks = covering_masks((spec.shape[1], spec.shape[2]), self.patch, self.count).to(spec.device)

    def surrogate_logits(self, x: Tensor, *, rng: torch.Generator | None = None) -> Tensor:
        """(n, classes): s with smooth extrema."""
        least = [-torch.logsumexp(-pairs, 0) for pairs in self._pairs(x)]
        return torch.logsumexp(torch.stack(least), 0)

    @torch.no_grad()
    def _answers(self, x: Tensor, labels: Tensor) -> Tensor:
        """(n,) of labels (n, masks) under one mask."""
        majority = majority_of(labels, self.classes)[:, None]
        answers = self._proven(x, labels, labels != majority)
        left = (answers < 0).nonzero()[:, 0]
        unanimous = (labels == majority).all(1)
        answers[left] = torch.where(unanimous[left], majority[left, 0], -1)
        left = (answers < 0).nonzero()[:, 0]
        if len(left):
            answers[left] = self._proven(x[left], labels[left], labels[left] == majority[left])
            left = (answers < 0).nonzero()[:, 0]
        for rows in torch.split(left, _AT_ONCE) if len(left) else ():
            least = [pairs.amin(0) for pairs in self._pairs(x[rows])]
            answers[rows] = torch.stack(least).amax(0).argmax(1)
        return answers

    def _pairs(self, x: Tensor) -> Iterator[Tensor]:
        """For each mask i (masks, n, classes): log-probabilities under i and every j."""
        found: dict[tuple[int, int], Tensor] = {}
        for i, first in enumerate(self.masks):
            for j, second in enumerate(self.masks[: i + 1]):
                found[j, i] = self.logits(self._under(x, first | second)).log_softmax(1)
        count = len(self.masks)
        for i in range(count):
            yield torch.stack([found[min(i, j), max(i, j)] for j in range(count)])


def majority_of(labels: Tensor, classes: int) -> Tensor:
    """(n,): the most frequent of labels (n, masks), the first of those that are equally so."""
    votes = torch.zeros(len(labels), classes, device=labels.device, dtype=torch.int64)
    return votes.scatter_add_(1, labels, torch.ones_like(labels)).argmax(1)
