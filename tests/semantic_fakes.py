"""Images whose attributes can be read off exactly, and disentanglers whose scores have a closed form."""

from __future__ import annotations

import math

import torch

from mfbench.contracts import Dataset, Defense, Disentangler, PredictsAttributes, Split

SIDE = 4
COUNTS = {"train": 400, "val": 600, "test": 1200}


class Tiles(Dataset):
    """One tile (SIDE x SIDE) an attribute, side by side: its brightness is the value, from 0.1 to 0.9.

    `renderings` images of each person are alike in all attributes of `kept`. `copied`: attribute 1 is equal
    to attribute 0 with this probability, and drawn anew otherwise, in every split but the test.
    """

    name = "tiles"

    def __init__(self, values=(2, 2, 2), renderings=1, kept=(), copied=0.0, count=None, *, seed=0):
        super().__init__(seed=seed)
        self.values, self.renderings, self.kept, self.copied = tuple(values), renderings, tuple(kept), copied
        self.counts = dict(COUNTS) if count is None else dict.fromkeys(COUNTS, count)
        self.shape = (1, SIDE, SIDE * len(values))

    def make_split(self, split):
        rng = torch.Generator().manual_seed(1000 * self.seed + ["train", "val", "test"].index(split))
        count = self.counts[split]
        person = torch.arange(count) // self.renderings

        def draw(v):
            return torch.randint(v, (count,), generator=rng)

        attributes = torch.stack([draw(v) for v in self.values], dim=1)
        for j in self.kept:
            attributes[:, j] = draw(self.values[j])[person]
        if self.copied and split != "test":
            same = torch.rand(count, generator=rng) < self.copied
            attributes[same, 1] = attributes[same, 0]
        order = torch.randperm(count, generator=rng)
        names = {"attributes": tuple(f"tile {j}" for j in range(len(self.values)))}
        identity = person[order] + 10**6 * ["train", "val", "test"].index(split)
        x = paint(attributes[order].float(), self.values)
        shown = identity if self.renderings > 1 else None
        return Split(x, attributes=attributes[order], identity=shown, names=names)


def paint(codes, values):
    """Images of attribute values (n, k), real ones too."""
    scale = torch.tensor([v - 1 for v in values])
    level = (0.1 + 0.8 * codes / scale).clamp(0, 1)
    return level[:, None, None, :].repeat(1, 1, SIDE, 1).repeat_interleave(SIDE, dim=3)


def read(x, values):
    """Attribute values of images, real."""
    scale = torch.tensor([v - 1 for v in values])
    return (x.unflatten(3, (len(values), SIDE)).mean(dim=(1, 2, 4)) - 0.1) / 0.8 * scale


class Linear(Disentangler):
    """z = M a, with a the attributes read off the image; decoded by the pseudo-inverse."""

    def __init__(self, matrix, values=(2, 2, 2), labels_used=0.0):
        self.matrix, self.values, self.labels_used = torch.as_tensor(matrix).float(), values, labels_used

    def encode(self, x):
        return read(x, self.values) @ self.matrix.T

    def decode(self, z):
        return paint(z @ torch.linalg.pinv(self.matrix).T, self.values)


class Perfect(Linear):
    """The attributes themselves, with their rounding as message."""

    def __init__(self, values=(2, 2, 2), labels_used=0.0):
        super().__init__(torch.eye(len(values)), values, labels_used)

    def symbols(self, x):
        return self.encode(x).round().long()


def duplicated(k=3):
    return Linear(torch.cat([torch.eye(k), torch.eye(k)]), (2,) * k)


def rotated():
    """The first two of three codes turned by 45 degrees."""
    half = math.sqrt(0.5)
    return Linear([[half, half, 0], [half, -half, 0], [0, 0, 1]])


class Flipped(Perfect):
    """Each binary attribute is told wrongly on a share of the images, fixed by the test's generator."""

    def __init__(self, share, values=(2, 2), seed=0):
        super().__init__(values)
        self.share, self.seed = share, seed

    def encode(self, x):
        codes = super().encode(x).round()
        rng = torch.Generator().manual_seed(self.seed + len(x) + int(1000 * x.double().sum()))
        wrong = torch.rand(codes.shape, generator=rng) < self.share
        return torch.where(wrong, 1 - codes, codes)

    def symbols(self, x):
        return self.encode(x).long()


class TileJudge(Defense, PredictsAttributes):
    """Reads every attribute off the image, without error."""

    def __init__(self, values=(2, 2, 2)):
        self.values = values

    def predict_attributes(self, x):
        most = torch.tensor([v - 1 for v in self.values])
        return read(x, self.values).round().clamp(min=0).minimum(most).long()
