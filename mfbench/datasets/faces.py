"""Drawn faces with known identity, attributes and scene: what no photograph comes with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mfbench.datasets.copula import correlation_matrix, grouped_bits
from mfbench.datasets.drawing import Canvas
from mfbench.datasets.drawn import SPLITS, Drawn, DrawnImages
from mfbench.datasets.face_model import ATTRIBUTES, IDENTITY, KEPT, SCENE, Face
from mfbench.datasets.face_parts import REGIONS, paint_face
from mfbench.datasets.images import Labels, RawImages
from mfbench.datasets.preprocessing import Channels, Levels
from mfbench.errors import UserError
from mfbench.identity import derive_seed
from mfbench.spelling import did_you_mean

_CHUNK = 64
"""Faces drawn at once: few enough that they stay in the processor's cache."""


class SyntheticFaces(DrawnImages):
    """Drawn faces: 14 binary attributes, a continuous identity shared by several renderings, and a scene.

    Who is drawn is a point in [-1, 1]^16 (`face_model.IDENTITY`); round_face, light_skin, dark_hair,
    long_hair and freckles belong to the person too, the other attributes are drawn anew for each rendering,
    and so are position, scale, light, backdrop and the colours of clothes and hat (`face_model.SCENE`). No
    person is in two splits. These are drawings, not photographs.
    """

    name = "synthetic_faces"

    def __init__(
        self,
        *,
        count: int = 10_000,
        renderings: int = 4,
        probability: float = 0.5,
        correlated: Sequence[str] | None = None,
        correlation: Sequence[float] | None = None,
        labels: Sequence[str] = ("smile", "glasses"),
        nuisance: float = 1.0,
        size: int = 32,
        drawn_size: int | None = None,
        channels: Channels = "native",
        jpeg_quality: int | None = None,
        dequantise: bool = False,
        jpeg_size: int | None = None,
        test_count: int | None = None,
        seed: int = 0,
    ) -> None:
        """Counts of images: a quarter of `count` for validation, half (or `test_count`) for the test.

        renderings: images of each person (the last one may have fewer).
        probability: of each attribute.
        correlated, correlation: names of attributes, and the correlations of the Gaussians behind them: one
            number for all pairs, or their matrix row by row. Without them attributes are independent.
        labels: attributes whose combination is the class y: bit i of y is labels[i].
        nuisance: 1 for the whole range of scenes, 0 for the same scene everywhere.
        size, drawn_size: faces are drawn at drawn_size (where None, at size) and reduced to size.
        """
        super().__init__(
            count=count,
            test_count=test_count,
            size=size,
            drawn_size=drawn_size,
            channels=channels,
            jpeg_quality=jpeg_quality,
            dequantise=dequantise,
            jpeg_size=jpeg_size,
            seed=seed,
        )
        _check(renderings, probability, nuisance, labels)
        self.renderings, self.probability, self.nuisance = renderings, probability, nuisance
        self.labels = tuple(labels)
        self.matrix = _matrix(correlated, correlation)
        self.parameters = {
            **self.parameters,
            "renderings": renderings,
            "probability": probability,
            "correlated": correlated and list(correlated),
            "correlation": correlation and list(correlation),
            "labels": list(labels),
            "nuisance": nuisance,
        }

    def raw(self, split: str) -> RawImages:
        face, identity = self.faces(split)
        attributes = face.attributes.numpy().astype(np.int64)
        classes = {"classes": _classes(self.labels)} if self.labels else {}
        names = {"attributes": ATTRIBUTES, **classes}
        pixels = Drawn(len(face), lambda rows: render(face.rows(rows), self.native[1]))
        return RawImages(pixels, _combined(attributes, self.labels), attributes, identity, names)

    def faces(self, split: str) -> tuple[Face, Labels]:
        """What the images of a split show, the codes behind them, and who it is, (n,) int64."""
        rng = np.random.default_rng(derive_seed(self.name, split, self.seed))
        count = self.counts[split]
        person = rng.permutation(np.arange(count) // self.renderings)  # any part is a fair sample of people
        people = rng.uniform(-1, 1, (int(person.max()) + 1, len(IDENTITY)))
        attributes = grouped_bits(self.matrix, self.probability, len(KEPT), person, rng)
        scene = self.nuisance * rng.uniform(-1, 1, (count, len(SCENE)))
        face = Face(_floats(people[person]), _floats(attributes), _floats(scene))
        return face, person + self._first_identity(split)

    def _first_identity(self, split: str) -> int:
        earlier = SPLITS[: SPLITS.index(split)]
        return sum(-(-self.counts[other] // self.renderings) for other in earlier)


def render(face: Face, size: int) -> Levels:
    """Pictures (n, 3, size, size) as 8-bit levels."""
    made = np.empty((len(face), 3, size, size), dtype=np.uint8)
    for start in range(0, len(face), _CHUNK):
        part = face.rows(slice(start, start + _CHUNK))
        canvas = Canvas.blank(size, part.centre, part.scale)
        paint_face(canvas, part)
        levels = canvas.pixels.clamp_(0, 1).mul_(255).round_()
        made[start : start + _CHUNK] = levels.to(torch.uint8).numpy()
    return made


def attribute_region(face: Face, attribute: str, size: int) -> NDArray[np.bool_]:
    """The pixels, (n, size, size), that the attribute can change where these faces are; others it does not.

    For `round_face` and `light_skin` that is the whole picture, or the whole head.
    """
    left, top, right, bottom = REGIONS[attribute]
    canvas = Canvas.blank(size, face.centre, face.scale)
    columns = (canvas.x + canvas.pixel > left) & (canvas.x - canvas.pixel < right)
    rows = (canvas.y + canvas.pixel > top) & (canvas.y - canvas.pixel < bottom)
    region: NDArray[np.bool_] = (rows & columns).numpy()
    return region


def _check(renderings: int, probability: float, nuisance: float, labels: Sequence[str]) -> None:
    if renderings < 1:
        raise UserError(f"renderings = {renderings}: at least 1")
    if not 0 < probability < 1:
        raise UserError(f"probability = {probability}: between 0 and 1")
    if not 0 <= nuisance <= 1:
        raise UserError(f"nuisance = {nuisance}: from 0 to 1")
    for name in labels:
        if name not in ATTRIBUTES:
            raise UserError(f"labels: no attribute {name!r}{did_you_mean(name, ATTRIBUTES)}")
    if len(set(labels)) < len(labels):
        raise UserError("labels names an attribute twice")


def _matrix(correlated: Sequence[str] | None, correlation: Sequence[float] | None) -> NDArray[np.float64]:
    if (correlated is None) != (correlation is None):
        raise UserError("correlated and correlation go together: which attributes, and how strongly")
    return correlation_matrix(ATTRIBUTES, correlated or (), correlation or ())


def _combined(attributes: Labels, labels: Sequence[str]) -> Labels | None:
    """The class (n,): bit i is the attribute labels[i]; None without labels."""
    if not labels:
        return None
    bits = attributes[:, [ATTRIBUTES.index(name) for name in labels]]
    combined: Labels = (bits << np.arange(len(labels))).sum(1)
    return combined


def _classes(labels: Sequence[str]) -> tuple[str, ...]:
    """Names of the classes: the labels that hold, joined by "+"."""
    chosen = (
        [name for bit, name in enumerate(labels) if code >> bit & 1] for code in range(2 ** len(labels))
    )
    return tuple("+".join(names) or "none" for names in chosen)


def _floats(values: NDArray[np.generic]) -> Tensor:
    return torch.from_numpy(values.astype(np.float64))
