"""What all purifiers share that climb the objective of a joint model."""

from __future__ import annotations

from typing import Any, TypeVar

import torch
from torch import Tensor

from mfbench import (
    Dataset,
    DataSpec,
    Defense,
    HasEvidence,
    HasFeatures,
    Progress,
    Reconstructor,
    Unrollable,
    UserError,
)
from mfbench_defenses.ascent import Ascent, Climb, Squash
from mfbench_defenses.joint_model import JointModel

Model = TypeVar("Model", bound=JointModel)


def require_model(model: Any, kind: type[Model], who: str) -> Model:
    """`model`, or a UserError where it is not of the kind."""
    if not isinstance(model, kind):
        wanted = getattr(kind, "who", "joint_vae or joint_autoencoder")
        raise UserError(f"{who}: model = {model!r}; {wanted} is needed")
    return model


class Purifier(Defense, Unrollable, HasEvidence, HasFeatures, Reconstructor):
    """Purifies at test time by `ascent`, and answers by the model's classifier. Nothing is learned here."""

    model: JointModel
    purifies: bool = True
    """Whether it climbs at all; without, `purify` is what `unclimbed` gives."""

    def build(self, spec: DataSpec) -> None:
        """The model is built already."""

    def fit(self, data: Dataset, *, rng: torch.Generator, progress: Progress) -> None:
        """Nothing: the model is fitted already, once for all who refer to it."""

    def ascent(self) -> Ascent:
        """How it climbs."""
        raise NotImplementedError

    def unclimbed(self, x: Tensor) -> Tensor:
        """What the image is before the first step; differentiable in x."""
        return x

    def inside(self, x: Tensor) -> Tensor | None:
        """(n, h, w) bool: the pixels that may move; None: all of them."""
        return None

    @property
    def optimises(self) -> bool:
        """Whether it optimises at test time."""
        return self.purifies

    @property
    def deterministic(self) -> bool:
        """Whether it answers the same twice."""
        ascent = self.ascent()
        return not self.purifies or (ascent.noise is None and ascent.restarts == 1)

    def logits(self, x: Tensor) -> Tensor:
        return self.model.logits(x)

    def purify(self, x: Tensor, *, rng: torch.Generator | None = None) -> Tensor:
        if not self.purifies:
            return self.unclimbed(x)
        with torch.no_grad():
            return self.ascent().climb(self.unclimbed(x), inside=self.inside(x), rng=rng)

    @property
    def purification_steps(self) -> int:
        return self.ascent().steps if self.purifies else 0

    def purification_start(self, x: Tensor, *, rng: torch.Generator | None = None) -> tuple[Tensor, ...]:
        start = self.unclimbed(x)
        return self.ascent().begin(start, inside=self.inside(x), rng=rng) if self.purifies else (start,)

    def purification_step(
        self,
        state: tuple[Tensor, ...],
        *,
        squash: Squash | None = None,
        stride: float = 1.0,
        rng: torch.Generator | None = None,
    ) -> tuple[Tensor, ...]:
        return self.ascent().step(Climb(*state), squash=squash, stride=stride, rng=rng)

    def evidence(self, x: Tensor, *, rng: torch.Generator | None = None) -> dict[str, Tensor]:
        """Minus the objective: what purification lowers."""
        return {"objective": -self.model.objective(x)}

    def features(self, x: Tensor) -> Tensor:
        return self.model.features(x)

    def reconstruct(self, x: Tensor, level: int = 0) -> Tensor:
        return self.model.reconstruct(x, level)
