"""Small data on which methods are checked: images that any method can learn, and an easy other set."""

from __future__ import annotations

import torch
from torch import Tensor

from mfbench.contracts import Dataset, Split
from mfbench.identity import derive_seed

POINTS = 256
"""Training points: enough to fit a density, few enough to do so at once."""

_COUNTS = {"train": 96, "val": 32, "test": 48}


class TinyImages(Dataset):
    """A bright square in one of the four quadrants, on a noisy ground: (n, channels, size, size) in [0, 1].

    Label: whether it is on the right. Attributes: right, bottom.
    """

    name = "tiny_images"

    def __init__(self, *, channels: int = 1, size: int = 16, seed: int = 0) -> None:
        super().__init__(seed=seed)
        self.shape = (channels, size, size)
        self.parameters = {"channels": channels, "size": size}

    def make_split(self, split: str) -> Split:
        rng = torch.Generator().manual_seed(derive_seed(self.name, split, self.seed))
        count, half = _COUNTS[split], self.shape[1] // 2
        quadrant = torch.arange(count) % 4
        attributes = torch.stack([quadrant % 2, quadrant // 2], dim=1)
        x = 0.2 * torch.rand(count, *self.shape, generator=rng)
        for image, (right, bottom) in zip(x, attributes.tolist()):
            image[:, bottom * half : (bottom + 1) * half, right * half : (right + 1) * half] += 0.7
        names = {"classes": ("left", "right"), "attributes": ("right", "bottom")}
        return Split(x, attributes[:, 0].clone(), attributes, names=names)


class Unlike(Dataset):
    """An easy other set: points far outside of `base`, or images of noise alone."""

    def __init__(self, base: Dataset) -> None:
        super().__init__(seed=base.seed)
        self.base, self.name, self.shape = base, f"unlike_{base.name}", base.shape
        self._far = 8 * base.train.x.std() if len(base.shape) == 1 else None

    def make_split(self, split: str) -> Split:
        x: Tensor = getattr(self.base, split).x
        if self._far is not None:
            return Split(x + self._far)
        rng = torch.Generator(x.device).manual_seed(derive_seed(self.name, split, self.seed))
        return Split(torch.rand(x.shape, generator=rng, device=x.device, dtype=x.dtype))

    def log_density(self, x: Tensor) -> Tensor:
        if self._far is not None:
            return self.base.log_density(x - self._far)
        return x.new_zeros(len(x))
