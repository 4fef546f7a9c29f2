"""What all attacks that follow gradients share: chunks, the choice of a mask, restarts, the best of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from mfbench import Attack, DataSpec, Defense, Threat, Unsupported
from mfbench_attacks.answers import Answers
from mfbench_attacks.arguments import limited, require_above, require_at_least, require_images, require_threat
from mfbench_attacks.ascent import Best, ascend
from mfbench_attacks.losses import Loss
from mfbench_attacks.oracles import Oracle
from mfbench_attacks.rows import Rows, best_of, masks_of, rows_of


class ImageAttack(Attack):
    """An attack on images, `chunk` rows (images times masks or restarts) at a time."""

    who: ClassVar[str]
    chunk: int

    def build(self, spec: DataSpec) -> None:
        """Unsupported where the data are no images."""
        if len(spec.shape) != 3:
            raise Unsupported(
                f"{self.who} is for images (channels, height, width), not for shape {spec.shape}"
            )

    def perturb(
        self, defense: Defense, x: Tensor, y: Tensor, *, threat: Threat, rng: torch.Generator
    ) -> Tensor:
        """UserError for images, labels and threats that are none; ContractError for a defense whose logits
        are none; Unsupported for one that this attack has no way to attack.
        """
        require_images(x, y)
        require_threat(threat, x)
        if not len(x):
            return x.clone()
        x = x.detach()
        answers = Answers(defense, x, y, rng)
        size = max(1, self.chunk // self.candidates(x, threat))
        parts = [
            self.attacked(answers, *part, threat) for part in zip(torch.split(x, size), torch.split(y, size))
        ]
        return torch.cat(parts)

    def repeats(self, answers: Answers) -> str:
        """Name of an attack that does the same on this defense, which a ladder need not try twice; or ""."""
        return ""

    def candidates(self, x: Tensor, threat: Threat) -> int:
        """The most rows that an image becomes."""
        return len(masks_of(x, threat))

    def attacked(self, answers: Answers, x: Tensor, y: Tensor, threat: Threat) -> Tensor:
        """Images x (n, ...), few enough at once, within the threat and changed for the worse."""
        raise NotImplementedError


@dataclass(kw_only=True, eq=False)
class GradientAttack(ImageAttack):
    """`steps` signs of gradients of size `step_size` (255ths are usual), from the clean image and, with
    `restarts` above 1, from places drawn uniformly; the best iterate of all counts.

    `loss`: "margin", which does not saturate, or "cross_entropy". Where the threat has several masks, each is
    tried for `probe` steps, and the attack goes on with the best for each image. `chunk`: rows at once.
    """

    steps: int = 200
    step_size: float = 8 / 255
    restarts: int = 1
    loss: Loss = "margin"
    probe: int = 10
    chunk: int = 1024

    momentum: ClassVar[float] = 0.0

    def __post_init__(self) -> None:
        require_at_least(self.who, 1, steps=self.steps, restarts=self.restarts, probe=self.probe)
        require_at_least(self.who, 1, chunk=self.chunk)
        require_above(self.who, 0, step_size=self.step_size)

    def oracle(self, answers: Answers, rows: Rows) -> Oracle:
        """What is climbed, for these rows, in which the variants follow each other."""
        raise NotImplementedError

    @property
    def variants(self) -> int:
        """Versions of the objective that are tried beside each other, with all restarts each."""
        return 1

    def candidates(self, x: Tensor, threat: Threat) -> int:
        """The most rows that an image becomes."""
        return max(super().candidates(x, threat), limited(self.restarts, threat, "restarts")) * self.variants

    def attacked(self, answers: Answers, x: Tensor, y: Tensor, threat: Threat) -> Tensor:
        """The best of all restarts and variants, on the best mask."""
        steps = limited(self.steps, threat, "steps")
        rows, start = self._placed(answers, rows_of(x, y, threat), len(x), min(self.probe, steps))
        restarts = limited(self.restarts, threat, "restarts")
        count = restarts * self.variants
        many = rows.repeat(count)
        starts = self._starts(many, start, restarts, answers.rng)
        found = self.climbed(answers, many, starts, steps)
        return found.x[best_of(self.verdict(answers, found, many), count)]

    def enough(self, answers: Answers) -> float | None:
        """The score above which an image is left alone; None where it is no verdict on the defense."""
        return None

    def climbed(self, answers: Answers, rows: Rows, start: Tensor, steps: int) -> Best:
        """The best images after `steps` steps."""
        return ascend(
            self.oracle(answers, rows),
            rows,
            start,
            steps=steps,
            step_size=self.step_size,
            rng=answers.rng,
            momentum=self.momentum,
            enough=self.enough(answers),
        )

    def verdict(self, answers: Answers, found: Best, rows: Rows) -> Tensor:
        """(b,): by what an image's candidates are compared in the end."""
        return found.score

    def _placed(self, answers: Answers, rows: Rows, images: int, probe: int) -> tuple[Rows, Tensor]:
        """One row an image, with the mask that a short attack likes best, and where that attack ended."""
        masks = len(rows) // images
        if masks == 1:
            return rows, rows.clean
        many = rows.repeat(self.variants)
        found = self.climbed(answers, many, many.clean, probe)
        chosen = best_of(self.verdict(answers, found, many), masks * self.variants)
        return many.take(chosen), found.x[chosen]

    def _starts(self, rows: Rows, first: Tensor, restarts: int, rng: torch.Generator) -> Tensor:
        """`first` for each variant's first restart, uniform draws for the others."""
        start = first.repeat_interleave(restarts * self.variants, 0)
        if restarts == 1:
            return start
        drawn = rows.uniform(rng)
        is_first = torch.arange(len(rows), device=start.device) // self.variants % restarts == 0
        return torch.where(is_first[:, None, None, None], start, drawn)
