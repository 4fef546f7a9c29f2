"""Defenses: classifiers that keep their answer under attack."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mfbench.contracts.method import Method, Progress

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from mfbench.contracts.dataset import Dataset


class Defense(Method):
    """A differentiable classifier, and what stands between it and the attacker."""

    def fit(self, data: Dataset, *, rng: torch.Generator, progress: Progress) -> None:
        """Fit classifier and purifier to `data.train` with its labels `y`."""
        raise NotImplementedError

    def logits(self, x: Tensor) -> Tensor:
        """(n, classes): the undefended classifier, differentiable in x."""
        raise NotImplementedError

    def purify(self, x: Tensor, *, rng: torch.Generator | None = None) -> Tensor:
        """x made clean, in [0, 1]; the identity for defenses that only classify."""
        return x

    def defended_logits(self, x: Tensor, *, rng: torch.Generator | None = None) -> Tensor:
        """(n, classes): what the defense answers; by default the classifier on the purified image."""
        return self.logits(self.purify(x, rng=rng))
