"""Images whose block means and attributes are known, and methods that work on them by level."""

from __future__ import annotations

import torch
from protocol_fakes import seeded
from torch.nn.functional import avg_pool2d

from mfbench.contracts import (
    Dataset,
    Defense,
    GeneratesLevels,
    GenerativeModel,
    HasFeatures,
    PredictsAttributes,
    Reconstructor,
    Split,
    SuperResolver,
)


class Tiles(Dataset):
    """Bright or dark left and right halves (two attributes, four classes) with fine noise: (n, 1, 8, 8)."""

    name = "tiles"
    shape = (1, 8, 8)

    def __init__(self, attributes=True, count=240, *, seed=0):
        super().__init__(seed=seed)
        self.attributes, self.count = attributes, count

    def make_split(self, split):
        rng = seeded({"train": 11, "val": 12, "test": 13}[split])
        bits = torch.randint(2, (self.count, 2), generator=rng)
        x = 0.2 * torch.rand(self.count, *self.shape, generator=rng) + 0.2
        x[:, :, :, :4] += 0.4 * bits[:, :1, None, None]
        x[:, :, :, 4:] += 0.4 * bits[:, 1:, None, None]
        names = {"classes": ("none", "left", "right", "both"), "attributes": ("left", "right")}
        return Split(x, bits @ torch.tensor([1, 2]), bits if self.attributes else None, names=names)


class Judge(Defense, HasFeatures, PredictsAttributes):
    """Features: the means of the columns and how much neighbours differ; its labels and attributes are right
    unless the halves are as bright as each other's neighbour.
    """

    largest = 0.0

    def features(self, x):
        assert not x.requires_grad
        self.largest = max(self.largest, float(x.abs().max()))
        noise = (x[:, :, :, 1:] - x[:, :, :, :-1]).abs().mean((1, 2, 3))
        return torch.cat([x.mean((1, 2)), 10 * noise[:, None]], 1)

    def predict_attributes(self, x):
        return torch.stack([x[:, :, :, :4].mean((1, 2, 3)), x[:, :, :, 4:].mean((1, 2, 3))], 1).gt(0.5).long()

    def logits(self, x):
        label = self.predict_attributes(x) @ torch.tensor([1, 2])
        return torch.nn.functional.one_hot(label, 4).float()


class Levels(GenerativeModel, Reconstructor, SuperResolver, GeneratesLevels):
    """By `made(x, level)` of full-size images x that it remembers: a fixed set, in order."""

    def __init__(self, x, made=lambda x, level: avg_pool2d(x, 2 ** (level - 1))):
        self.x, self.made, self.asked = x, made, []

    def reconstruct(self, x, level):
        return self.made(x, level)

    def generate(self, count, level, temperature, *, rng):
        self.asked.append((level, temperature))
        return self.made(self.x[:count], level)

    def super_resolve(self, x_low, from_level, temperature, *, rng):
        self.asked.append((from_level, temperature, int(torch.randint(2**30, (), generator=rng))))
        return self.made(self.x[: len(x_low)], 1)


class Noisy(Levels):
    """Block means with noise of zero mean in each block: consistent, and another image at every draw."""

    def super_resolve(self, x_low, from_level, temperature, *, rng):
        factor = 2 ** (from_level - 1)
        large = x_low.repeat_interleave(factor, 2).repeat_interleave(factor, 3)
        noise = 0.05 * temperature * torch.randn(large.shape, generator=rng)
        means = avg_pool2d(noise, factor).repeat_interleave(factor, 2).repeat_interleave(factor, 3)
        return large + noise - means
