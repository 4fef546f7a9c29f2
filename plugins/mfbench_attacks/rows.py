"""What is attacked at once: a row for each image, mask and restart, and what each pixel of it may be."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from mfbench import Threat


@dataclass(frozen=True)
class Rows:
    """b = images x candidates rows, the candidates (masks, restarts, weights) of an image beside each other.

    clean (b, channels, height, width), labels (b,). low, high: the least and the most that each pixel may be;
    outside of the mask both are the clean pixel itself, so that clamping leaves it bit-identical.
    free: (b, 1, height, width) bool, the mask.
    """

    clean: Tensor
    labels: Tensor
    low: Tensor
    high: Tensor
    free: Tensor

    def __len__(self) -> int:
        return len(self.clean)

    @cached_property
    def everywhere(self) -> bool:
        """Whether the mask is the whole image, in every row."""
        return bool(self.free.all())

    def take(self, index: Tensor) -> Rows:
        """The rows of that index (k,), or of that mask (b,)."""
        fields = (self.clean, self.labels, self.low, self.high, self.free)
        return Rows(*(field[index] for field in fields))

    def repeat(self, candidates: int) -> Rows:
        """Each row `candidates` times."""
        if candidates == 1:
            return self
        index = torch.arange(len(self), device=self.clean.device).repeat_interleave(candidates)
        return self.take(index)

    def project(self, x: Tensor) -> Tensor:
        """The nearest images within the threat."""
        return torch.clamp(x, self.low, self.high)

    def uniform(self, rng: torch.Generator) -> Tensor:
        """Images drawn uniformly from all that the threat allows."""
        shape, kind = self.clean.shape, self.clean.dtype
        share = torch.rand(shape, generator=rng, device=rng.device, dtype=kind).to(self.clean.device)
        return self.project(self.low + share * (self.high - self.low))


def rows_of(x: Tensor, y: Tensor, threat: Threat) -> Rows:
    """Each image with each of the threat's masks: (image, mask) = divmod(row, masks)."""
    masks = masks_of(x, threat)
    count = len(masks)
    clean, labels = x.repeat_interleave(count, 0), y.repeat_interleave(count, 0)
    return confined(clean, labels, masks.repeat(len(x), 1, 1), threat.radius)


def confined(clean: Tensor, labels: Tensor, masks: Tensor, radius: float | None) -> Rows:
    """Rows (b, ...) with a mask (b, height, width) each."""
    free = masks[:, None]
    least, most = torch.zeros_like(clean), torch.ones_like(clean)
    if radius is not None:
        least, most = (clean - radius).clamp(min=0), (clean + radius).clamp(max=1)
    return Rows(clean, labels, torch.where(free, least, clean), torch.where(free, most, clean), free)


def masks_of(x: Tensor, threat: Threat) -> Tensor:
    """(m, height, width): the threat's masks, or one of the whole image."""
    if threat.masks is None:
        return torch.ones(1, *x.shape[2:], dtype=torch.bool, device=x.device)
    return threat.masks.to(x.device)


def best_of(scores: Tensor, candidates: int) -> Tensor:
    """(n,): the row with the highest score among each image's candidates."""
    start = torch.arange(0, len(scores), candidates, device=scores.device)
    return start + scores.view(-1, candidates).argmax(dim=1)
