"""What others have found: adversarial inputs from files, believed in nothing, scored again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from torch import Tensor

from mfbench import AdversarialPool, DataSpec, FileRef, Threat, UserError, breaches
from mfbench_attacks.answers import Answers
from mfbench_attacks.arguments import require_at_least
from mfbench_attacks.gradient_attack import ImageAttack


@dataclass(kw_only=True, eq=False)
class Pool(ImageAttack):
    """For each image the input of a pool that this defense likes least; the clean image where there is none.

    `file`: an .npz file of adversarial inputs (`mfbench.AdversarialPool.write`), a board's figures.npz, or a
    folder of such files. Inputs are found by the SHA-256 of the clean image; what does not keep to
    the threat is left out. `chunk`: inputs scored at once.
    """

    who: ClassVar[str] = "pool"
    gradient_free: ClassVar[bool] = True

    file: FileRef | None = None
    chunk: int = 1024

    def __post_init__(self) -> None:
        require_at_least(self.who, 1, chunk=self.chunk)
        # Here, not in `build`: what is no pool is refused before anything is computed.
        self.inputs = AdversarialPool() if self.file is None else AdversarialPool.read(Path(self.file))

    def build(self, spec: DataSpec) -> None:
        super().build(spec)
        if self.file is None:
            raise UserError("pool: name the `file`, or the folder, with adversarial inputs")

    def candidates(self, x: Tensor, threat: Threat) -> int:
        return 1

    def attacked(self, answers: Answers, x: Tensor, y: Tensor, threat: Threat) -> Tensor:
        found, rows = self.inputs.candidates(x, y)
        if len(rows):
            kept = ~breaches(x[rows], found, threat)
            found, rows = found[kept], rows[kept]
        margins = [
            margin
            for start in range(0, len(rows), self.chunk)
            for margin in answers.margins(
                found[start : start + self.chunk], y[rows[start : start + self.chunk]]
            ).tolist()
        ]
        worst = {int(rows[i]): i for i in sorted(range(len(rows)), key=margins.__getitem__)}
        changed = x.clone()
        for row, i in worst.items():
            changed[row] = found[i]
        return changed
