"""Residual networks that see more in training than clean images: painted boxes, masks, adversarial patches.

`coarse` puts the network of `coarse_cnn` in place of that of `cnn`: a quarter of the work.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from mfbench import DataSpec, Role, UserError, patch_masks
from mfbench_defenses.arguments import require_above, require_at_least
from mfbench_defenses.boxes import boxes_of, painted, random_boxes
from mfbench_defenses.coarse import SizedCNN
from mfbench_defenses.masks import checked_patch, covering_masks, patch_on
from mfbench_defenses.training import shuffled_batches


class CutoutCNN(SizedCNN):
    """`cnn`, trained with none, one or two random boxes painted over (DeVries and Taylor 2017).

    What defenses that mask want: a classifier that masks do not confuse. Sides of boxes are uniform up to
    `largest` of the image's. The other parameters are those of `cnn`.
    """

    def __init__(
        self,
        width: int = 32,
        blocks: int = 1,
        iterations: int = 2000,
        batch_size: int = 64,
        learning_rate: float = 3e-3,
        largest: float = 0.75,
        fill: float = 0.5,
        coarse: bool = False,
    ) -> None:
        super().__init__(width, blocks, iterations, batch_size, learning_rate)
        self.coarse = coarse
        if not 0 < largest <= 1:
            raise UserError(f"cutout_cnn: largest = {largest:g}: above 0, at most 1")
        self.largest = largest
        self.fill = fill

    def _batches(self, x: Tensor, y: Tensor, rng: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        for images, labels in shuffled_batches(x, y, self.batch_size, self.iterations, rng):
            yield painted(images, some_boxes(images, self.largest, rng), self.fill), labels


def some_boxes(x: Tensor, largest: float, rng: torch.Generator) -> Tensor:
    """(n, h, w) bool: none, one or two random boxes, each as probable, for images x (n, c, h, w)."""
    size = (x.shape[2], x.shape[3])
    count = torch.randint(3, (len(x), 1, 1), generator=rng, device=rng.device)
    first, second = (random_boxes(len(x), largest, size, rng) for _ in range(2))
    return ((first & (count > 0)) | (second & (count > 1))).to(x.device)


class BlankKnownMask(SizedCNN):
    """Told where the patch will be: paints that box over, in training (every other image) and after.

    The control for boards with a fixed position: trivially robust, as it never sees what the attacker does.
    `mask`, `area` and `aspect` as of the board (`mfbench.patch_masks`).
    """

    role: ClassVar[Role] = "control"

    def __init__(
        self,
        mask: Literal["forehead", "centre", "top"] = "forehead",
        area: float = 0.125,
        aspect: float = 2.0,
        width: int = 32,
        blocks: int = 1,
        iterations: int = 2000,
        batch_size: int = 64,
        learning_rate: float = 3e-3,
        fill: float = 0.5,
        coarse: bool = False,
    ) -> None:
        super().__init__(width, blocks, iterations, batch_size, learning_rate)
        self.coarse = coarse
        self.mask: Literal["forehead", "centre", "top"] = mask
        self.area = area
        self.aspect = aspect
        self.fill = fill

    def build(self, spec: DataSpec) -> None:
        super().build(spec)
        (blank,) = patch_masks(self.mask, spec.shape, area=self.area, aspect=self.aspect)
        self.blank = blank.to(spec.device)

    def _batches(self, x: Tensor, y: Tensor, rng: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        for images, labels in shuffled_batches(x, y, self.batch_size, self.iterations, rng):
            chosen = torch.rand((len(images), 1, 1), generator=rng, device=rng.device).to(x.device) < 0.5
            yield painted(images, chosen & self.blank, self.fill), labels

    def purify(self, x: Tensor, *, rng: torch.Generator | None = None) -> Tensor:
        return painted(x, self.blank.expand(len(x), -1, -1), self.fill)


class AdversarialTraining(SizedCNN):
    """`cnn`, trained on images with adversarial patches (Madry et al. 2018; Rao et al. 2020).

    A share `attacked` of each batch carries a patch of `box` = (height, width) pixels (None: a quarter of the
    height, half of the width) at a place drawn for each image. Its content starts at uniform noise and takes
    `attack_steps` steps of `attack_size` along the sign of the cross-entropy's gradient, against the
    network as it stands, in eval mode. `boxes`: one or two random boxes are painted over on top of it all, as
    for `cutout_cnn`: what `double_masking` wants of a classifier that the patch, where a mask misses it,
    shall not mislead.
    """

    role: ClassVar[Role] = "method"

    def __init__(
        self,
        width: int = 32,
        blocks: int = 1,
        iterations: int = 2000,
        batch_size: int = 64,
        learning_rate: float = 3e-3,
        attacked: float = 0.75,
        box: Sequence[int] | None = None,
        attack_steps: int = 5,
        attack_size: float = 0.25,
        boxes: bool = False,
        largest: float = 0.75,
        fill: float = 0.5,
        coarse: bool = False,
    ) -> None:
        super().__init__(width, blocks, iterations, batch_size, learning_rate)
        self.coarse = coarse
        who = "adversarial_training"
        require_at_least(who, 0, attack_steps=attack_steps)
        require_above(who, 0, attack_size=attack_size)
        if not 0 <= attacked <= 1:
            raise UserError(f"{who}: attacked = {attacked:g}: from 0 to 1")
        if box is not None and (len(box) != 2 or min(box) < 1):
            raise UserError(f"{who}: box = {list(box)}: height and width in pixels, at least 1 each")
        self.attacked = attacked
        self.box = None if box is None else (box[0], box[1])
        self.attack_steps = attack_steps
        self.attack_size = attack_size
        self.boxes = boxes
        self.largest = largest
        self.fill = fill

    def build(self, spec: DataSpec) -> None:
        super().build(spec)
        height, width = spec.shape[1:]
        self.patch = self.box or (max(1, height // 4), max(1, width // 2))
        if self.patch[0] > height or self.patch[1] > width:
            raise UserError(f"adversarial_training: a box of {self.patch} pixels on images of {spec.shape}")

    def _batches(self, x: Tensor, y: Tensor, rng: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        for images, labels in shuffled_batches(x, y, self.batch_size, self.iterations, rng):
            over = self._hidden(images, rng)
            images = painted(images, over, self.fill)
            count = round(self.attacked * len(images))
            if count:
                attacked = self._patched(images[:count], labels[:count], rng)
                images = torch.cat([painted(attacked, over[:count], self.fill), images[count:]])
            yield images, labels

    def _hidden(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """(n, h, w) bool: what is painted over in images x (n, c, h, w)."""
        return some_boxes(x, self.largest, rng) if self.boxes else torch.zeros_like(x[:, 0]) > 0

    def _patched(self, x: Tensor, y: Tensor, rng: torch.Generator) -> Tensor:
        """x with adversarial patches; the network is left in the mode it was in."""
        masks = boxes_of(len(x), self.patch, (x.shape[2], x.shape[3]), rng).to(x.device)[:, None]
        noise = torch.rand(x.shape, generator=rng, device=rng.device, dtype=x.dtype).to(x.device)
        attacked = torch.where(masks, noise, x)
        training = self.network.training
        self.network.eval()
        for _ in range(self.attack_steps):
            attacked.requires_grad_()
            loss = cross_entropy(self.network(attacked), y, reduction="sum")
            (slope,) = torch.autograd.grad(loss, attacked)
            moved = (attacked.detach() + self.attack_size * slope.sign()).clamp(0, 1)
            attacked = torch.where(masks, moved, x)
        self.network.train(training)
        return attacked


class MaskedCNN(AdversarialTraining):
    """`cnn`, trained under the very masks that `double_masking` puts on: what it is asked about, no more.

    `patch` = (height, width) and `masks` a side, as of `double_masking`; one image in 20 has no mask, three
    have one, the others two, drawn alike. `attacked`: a share of each batch with adversarial patches of `box`
    pixels (0: none), as of `adversarial_training`.
    """

    role: ClassVar[Role] = "control"

    def __init__(
        self,
        patch: Sequence[int] | None = None,
        masks: int = 4,
        width: int = 32,
        blocks: int = 1,
        iterations: int = 2000,
        batch_size: int = 64,
        learning_rate: float = 3e-3,
        attacked: float = 0.0,
        box: Sequence[int] | None = None,
        attack_steps: int = 5,
        attack_size: float = 0.25,
        fill: float = 0.5,
        coarse: bool = False,
    ) -> None:
        super().__init__(
            width,
            blocks,
            iterations,
            batch_size,
            learning_rate,
            attacked,
            box,
            attack_steps,
            attack_size,
            fill=fill,
            coarse=coarse,
        )
        require_at_least("masked_cnn", 1, masks=masks)
        self.covered = checked_patch("masked_cnn", patch)
        self.count = masks

    def build(self, spec: DataSpec) -> None:
        super().build(spec)
        patch = patch_on("masked_cnn", self.covered, spec.shape)
        self.masks = covering_masks((spec.shape[1], spec.shape[2]), patch, self.count).to(spec.device)

    def _hidden(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """None, one or two of the masks."""
        which = torch.randint(len(self.masks), (2, len(x)), generator=rng, device=rng.device)
        share = torch.rand((len(x), 1, 1), generator=rng, device=rng.device)
        first, second = self.masks[which.to(self.masks.device)]
        hidden: Tensor = ((first & (share < 0.95)) | (second & (share < 0.8))).to(x.device)
        return hidden
