"""What a synthetic face is made of: an identity code, attributes and a scene, and what follows from them.

Lengths are in face units: the middle of the face is (0, 0), its chin near (0, 0.72), y points down.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

KEPT = ("round_face", "light_skin", "dark_hair", "long_hair", "freckles")
"""Attributes of a person: the same in all renderings of an identity."""

CHANGING = (
    "smile",
    "open_mouth",
    "raised_eyebrows",
    "blush",
    "glasses",
    "beard",
    "moustache",
    "hat",
    "earrings",
)
"""Attributes of a picture: drawn anew for each rendering."""

ATTRIBUTES = KEPT + CHANGING

IDENTITY = (
    "face_width",
    "face_length",
    "jaw",
    "eye_distance",
    "eye_height",
    "eye_size",
    "iris",
    "nose_length",
    "nose_width",
    "mouth_width",
    "mouth_height",
    "lips",
    "eyebrows",
    "skin_tone",
    "hair_tone",
    "parting",
)
"""Coordinates of the identity code, each in [-1, 1]."""

SCENE = (
    "right",
    "down",
    "scale",
    "light_side",
    "light_level",
    "light_warmth",
    "backdrop_red",
    "backdrop_green",
    "backdrop_blue",
    "clothes_red",
    "clothes_green",
    "clothes_blue",
    "hat_hue",
)
"""What changes with the picture and says nothing about the person, each in [-1, 1]."""

SHIFT = 0.08
"""Greatest shift of the face, in halves of the picture's side."""
SCALE, SCALE_RANGE = 1.02, 0.07
"""Half the picture's side over the face unit: middle, and greatest deviation."""
MIDDLE = 0.08
"""How far the middle of the face lies below the middle of the picture."""


@dataclass(frozen=True)
class Face:
    """A batch of n faces: the three codes, and lengths (n, 1, 1) and colours (n, 3) that follow from them.

    identity: (n, 16), see IDENTITY. attributes: (n, 14) zeros and ones (anything between is a blend), see
    ATTRIBUTES. scene: (n, 13), see SCENE.
    """

    identity: Tensor
    attributes: Tensor
    scene: Tensor

    def __len__(self) -> int:
        return len(self.identity)

    def rows(self, chosen: slice | NDArray[np.int64]) -> Face:
        """These faces, in this order."""
        return Face(self.identity[chosen], self.attributes[chosen], self.scene[chosen])

    def trait(self, name: str) -> Tensor:
        """A coordinate of the identity code, (n, 1, 1)."""
        return self.identity[:, IDENTITY.index(name), None, None]

    def has(self, name: str) -> Tensor:
        """An attribute, (n, 1, 1)."""
        return self.attributes[:, ATTRIBUTES.index(name), None, None]

    def view(self, name: str) -> Tensor:
        """A coordinate of the scene, (n, 1, 1)."""
        return self.scene[:, SCENE.index(name), None, None]

    def constant(self, *colour: float) -> Tensor:
        """The same colour for all faces, (n, 3)."""
        return self.scene.new_tensor(colour).expand(len(self), 3)

    @cached_property
    def centre(self) -> Tensor:
        """Middle of the face in the picture [-1, 1]^2, (n, 2)."""
        shift = SHIFT * torch.stack([self.view("right"), self.view("down")], 1).flatten(1)
        return shift + shift.new_tensor([0.0, MIDDLE])

    @cached_property
    def scale(self) -> Tensor:
        """Length of the face unit in the picture [-1, 1]^2, (n,)."""
        return (SCALE + SCALE_RANGE * self.view("scale")).flatten()

    @cached_property
    def half_width(self) -> Tensor:
        """Of the head at the height of the eyes."""
        return 0.475 + 0.03 * self.trait("face_width") + 0.11 * self.has("round_face")

    @cached_property
    def half_height(self) -> Tensor:
        return 0.72 + 0.045 * self.trait("face_length") - 0.03 * self.has("round_face")

    @cached_property
    def taper(self) -> Tensor:
        """How much narrower the head becomes towards the chin."""
        return 0.24 + 0.06 * self.trait("jaw") - 0.18 * self.has("round_face")

    @cached_property
    def eye_x(self) -> Tensor:
        return 0.205 + 0.032 * self.trait("eye_distance")

    @cached_property
    def eye_y(self) -> Tensor:
        return -0.03 + 0.035 * self.trait("eye_height")

    @cached_property
    def nose_y(self) -> Tensor:
        """Height of the tip of the nose."""
        return 0.21 + 0.04 * self.trait("nose_length")

    @cached_property
    def mouth_y(self) -> Tensor:
        return 0.435 + 0.025 * self.trait("mouth_height")

    @cached_property
    def skin(self) -> Tensor:
        light = self._between("skin_tone", (0.98, 0.84, 0.74), (0.90, 0.69, 0.55))
        brown = self._between("skin_tone", (0.63, 0.44, 0.31), (0.45, 0.30, 0.21))
        return torch.lerp(brown, light, self.has("light_skin")[:, :, 0])

    @cached_property
    def hair(self) -> Tensor:
        light = self._between("hair_tone", (0.90, 0.73, 0.34), (0.80, 0.45, 0.16))
        dark = self._between("hair_tone", (0.07, 0.06, 0.07), (0.22, 0.13, 0.08))
        return torch.lerp(light, dark, self.has("dark_hair")[:, :, 0])

    @cached_property
    def facial_hair(self) -> Tensor:
        """Darker than the hair, so that it is seen on every skin and in front of long hair."""
        return 0.4 * self.hair

    @cached_property
    def iris(self) -> Tensor:
        return self._between("iris", (0.25, 0.45, 0.62), (0.28, 0.17, 0.08))

    @cached_property
    def lips(self) -> Tensor:
        red = 0.6 + 0.15 * self.trait("lips")[:, :, 0]
        return torch.lerp(self.skin, self.constant(0.72, 0.16, 0.20), red)

    @cached_property
    def backdrop(self) -> Tensor:
        return 0.48 + 0.22 * self._colour("backdrop")

    @cached_property
    def clothes(self) -> Tensor:
        return 0.42 + 0.30 * self._colour("clothes")

    @cached_property
    def hat(self) -> Tensor:
        """A saturated colour: hue over the circle of (red, green, blue)."""
        hue = torch.pi * self.view("hat_hue")[:, :, 0]
        return 0.42 + 0.36 * torch.cos(hue - hue.new_tensor([0.0, 2.0944, 4.1888]))

    @cached_property
    def light(self) -> Tensor:
        """Gain of the channels, (n, 3)."""
        warmth = self.view("light_warmth")[:, :, 0] * self.scene.new_tensor([0.06, 0.0, -0.08])
        return (1 + warmth) * (0.93 + 0.11 * self.view("light_level")[:, :, 0])

    def _colour(self, of: str) -> Tensor:
        return torch.cat([self.view(f"{of}_{channel}")[:, :, 0] for channel in ("red", "green", "blue")], 1)

    def _between(self, trait: str, low: tuple[float, ...], high: tuple[float, ...]) -> Tensor:
        """The colour from `low` at trait = -1 to `high` at 1, (n, 3)."""
        return torch.lerp(self.constant(*low), self.constant(*high), self.trait(trait)[:, :, 0] / 2 + 0.5)
