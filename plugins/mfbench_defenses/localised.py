"""Purification where the patch is: find it by the reconstruction's error, paint over it, climb inside.

What the unbounded ascent of Eq. 30 does to the whole image, to the harm of clean ones, is done inside one box
that the defense finds itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from mfbench import DataSpec, HasELBO, Ref, UserError
from mfbench_defenses.arguments import require_at_least
from mfbench_defenses.ascent import Ascent, check_ascent
from mfbench_defenses.joint_model import JointVAE
from mfbench_defenses.purifier import Purifier, require_model


class LocalisedPurification(Purifier, HasELBO):
    """Locates, infills, purifies inside.

    The box of `box` = (height, width) pixels (None: a quarter of the height, half of the width: an eighth of
    the image) with the largest summed squared error of the reconstruction is painted over by the grey mean,
    then `infill` times by the reconstruction of the image so painted; then `steps` of Eq. 30 inside of it.
    Clean images have a box as well. The size of the box is told to it, its place is not.
    """

    model: JointVAE

    def __init__(
        self,
        model: Annotated[Ref, "defense"] = "joint_vae",
        box: Sequence[int] | None = None,
        infill: int = 3,
        steps: int = 32,
        step_size: float = 4 / 255,
    ) -> None:
        who = "localised_purification"
        check_ascent(who, steps=steps, step_size=step_size, restarts=1, radius=None)
        require_at_least(who, 0, infill=infill)
        if box is not None and (len(box) != 2 or min(box) < 1):
            raise UserError(f"{who}: box = {list(box)}: height and width in pixels, at least 1 each")
        self.model = require_model(model, JointVAE, who)
        self.box = None if box is None else (box[0], box[1])
        self.infill = infill
        self.steps = steps
        self.step_size = step_size

    def build(self, spec: DataSpec) -> None:
        height, width = spec.shape[1:]
        self.size = self.box or (max(1, height // 4), max(1, width // 2))
        if self.size[0] > height or self.size[1] > width:
            raise UserError(
                f"localised_purification: a box of {self.size} pixels on images of {(height, width)}"
            )

    def ascent(self) -> Ascent:
        return Ascent(self.model.objective, steps=self.steps, step_size=self.step_size)

    def error(self, x: Tensor) -> Tensor:
        """(n, h, w): squared error of the reconstruction, summed over channels."""
        return (x - self.model.reconstruct(x)).square().sum(1)

    @torch.no_grad()
    def inside(self, x: Tensor) -> Tensor:
        """(n, h, w) bool: the box with the largest error."""
        height, width = self.size
        sums = avg_pool2d(self.error(x)[:, None], self.size, stride=1)[:, 0]
        place = sums.flatten(1).argmax(1)
        top, left = place // sums.shape[2], place % sums.shape[2]
        rows = torch.arange(x.shape[2], device=x.device) - top[:, None]
        columns = torch.arange(x.shape[3], device=x.device) - left[:, None]
        tall, wide = (rows >= 0) & (rows < height), (columns >= 0) & (columns < width)
        return tall[:, :, None] & wide[:, None, :]

    def unclimbed(self, x: Tensor) -> Tensor:
        """x painted over inside the box."""
        inside = self.inside(x)[:, None]
        painted = torch.where(inside, self.model.network.shift, x)
        for _ in range(self.infill):
            painted = torch.where(inside, self.model.reconstruct(painted), x)
        return painted

    def evidence(self, x: Tensor, *, rng: torch.Generator | None = None) -> dict[str, Tensor]:
        """The map by which the box is found."""
        return {"reconstruction_error": self.error(x)}

    def elbo(self, x: Tensor, *, rng: torch.Generator | None = None) -> Tensor:
        return self.model.elbo(x, rng=rng)
