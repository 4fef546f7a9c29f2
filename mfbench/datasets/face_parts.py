"""The parts of a synthetic face, one function each, painted from the back to the front.

Each is given a window of the canvas that holds it wherever the face is (`REGIONS`), so that what it changes
lies there, and little time is spent where nothing is drawn.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from mfbench.datasets.drawing import Box, Canvas, bump, circle, ellipse
from mfbench.datasets.face_model import ATTRIBUTES, Face

Part = Callable[[Canvas, Face], None]

FRECKLES = (
    *((0.22, 0.13), (0.30, 0.11), (0.37, 0.16), (0.18, 0.21), (0.26, 0.20)),
    *((0.34, 0.24), (0.22, 0.29), (0.30, 0.31), (0.10, 0.10)),
)
"""Places of the freckles on the right half of the face, as (x, y)."""


def backdrop(canvas: Canvas, face: Face) -> None:
    """A wall, lighter above."""
    ramp = 1.08 - 0.16 * canvas.y
    canvas.pixels.copy_((face.backdrop[:, :, None, None] * ramp[:, None]).expand_as(canvas.pixels))


def clothes(canvas: Canvas, face: Face) -> None:
    distance = ellipse(canvas.x, canvas.y - 1.30, face.half_width + 0.48, _like(canvas, 0.52))
    canvas.paint(canvas.inside(distance), face.clothes)


def ears(canvas: Canvas, face: Face) -> None:
    distance = ellipse(
        canvas.x.abs() - face.half_width, canvas.y - 0.04, _like(canvas, 0.085), _like(canvas, 0.14)
    )
    canvas.paint(canvas.inside(distance), 0.88 * face.skin)


def long_hair(canvas: Canvas, face: Face) -> None:
    """Falls over the ears to the shoulders, behind the neck."""
    crown = (1 - ((canvas.y + 0.05) / 0.80).square()).clamp_(min=0).sqrt_()
    fall = torch.where(canvas.y < -0.05, crown, 1 + 0.08 * (canvas.y + 0.05))
    level = canvas.between(-0.88 + 0 * canvas.x, 0.86 + 0.15 * canvas.x.abs())
    coverage = canvas.within((face.half_width + 0.15) * fall) * level
    shade = 0.92 - 0.25 * (canvas.y - 0.3).clamp_(min=0)
    canvas.paint(coverage * face.has("long_hair"), _shaded(face.hair, shade))


def neck(canvas: Canvas, face: Face) -> None:
    half_width = 0.55 * face.half_width * torch.ones_like(canvas.y)
    below = canvas.between(0.35 + 0 * canvas.x, 0.94 - 0.9 * canvas.x.square())
    canvas.paint(canvas.within(half_width) * below, 0.80 * face.skin)


def head(canvas: Canvas, face: Face) -> None:
    """Skin, rounder to the eye for being darker away from the light."""
    side = 0.10 * face.view("light_side") * (canvas.x / face.half_width)
    round_off = 0.06 - 0.14 * (canvas.x / face.half_width).square()
    shade = (1 + side + round_off) + (0.02 - 0.10 * canvas.y.square())
    canvas.paint(canvas.inside(_head_distance(canvas, face, 0.0)), _shaded(face.skin, shade))


def blush(canvas: Canvas, face: Face) -> None:
    x, y = canvas.x.abs() - 0.29, canvas.y - 0.21
    coverage = bump(x / 0.20) * bump(y / 0.17)
    red = torch.lerp(face.skin, face.skin.new_tensor([0.92, 0.10, 0.22]), 0.85)
    canvas.paint(0.85 * coverage * face.has("blush"), red)


def freckles(canvas: Canvas, face: Face) -> None:
    places = canvas.x.new_tensor([(side * x, y) for x, y in FRECKLES for side in (-1, 1)])
    coverage = canvas.dots(places[None, :, 0], places[None, :, 1], 0.021)
    canvas.paint(coverage * face.has("freckles"), face.skin * face.skin.new_tensor([0.45, 0.32, 0.25]))


def beard(canvas: Canvas, face: Face) -> None:
    """From ear to ear around the chin; the cheeks are free."""
    cheeks = canvas.inside(ellipse(canvas.x, canvas.y - 0.04, 0.78 * face.half_width, _like(canvas, 0.46)))
    outline = canvas.inside(_head_distance(canvas, face, 0.035))
    below = canvas.inside(0.05 - canvas.y)
    canvas.paint((1 - cheeks) * outline * below * face.has("beard"), face.facial_hair)


def moustache(canvas: Canvas, face: Face) -> None:
    middle = (face.nose_y + face.mouth_y) / 2 - 0.005 + 1.1 * canvas.x.square()
    coverage = canvas.lens(canvas.x, middle, _like(canvas, 0.24), _like(canvas, 0.070))
    canvas.paint(coverage * face.has("moustache"), face.facial_hair)


def mouth(canvas: Canvas, face: Face) -> None:
    """Lips around a line or an opening; a smile is wider, its corners are up and it shows teeth."""
    smile, opening = face.has("smile"), face.has("open_mouth")
    half_width = 0.165 + 0.025 * face.trait("mouth_width") + 0.090 * smile
    rise = 0.020 - 0.170 * smile
    middle = face.mouth_y - 0.4 * rise + rise * (canvas.x / half_width).square()
    gap = 0.012 + 0.078 * opening + 0.025 * smile
    lip = 0.044 + 0.008 * face.trait("lips")
    canvas.paint(canvas.lens(canvas.x, middle, half_width + 0.03, gap + lip), face.lips)
    inner = canvas.lens(canvas.x, middle, half_width, gap)
    canvas.paint(inner, face.constant(0.22, 0.05, 0.07))
    teeth = inner * canvas.between(middle - 1, middle)
    canvas.paint(teeth * smile, face.constant(0.96, 0.95, 0.92))


def nose(canvas: Canvas, face: Face) -> None:
    width = 0.078 + 0.028 * face.trait("nose_width")
    down = ((canvas.y - face.eye_y) / (face.nose_y - face.eye_y)).clamp(0, 1)
    level = canvas.between(face.eye_y + 0 * canvas.x, face.nose_y + 0 * canvas.x)
    canvas.paint(0.8 * canvas.within(width * (0.35 + 0.65 * down)) * level, 0.90 * face.skin)
    canvas.paint(0.7 * canvas.within(0.3 * width * down + 0.01) * level, (1.08 * face.skin).clamp(max=1))
    tip = canvas.lens(canvas.x, face.nose_y + 0.6 * canvas.x.square(), 1.25 * width, _like(canvas, 0.035))
    canvas.paint(tip, 0.66 * face.skin)


def eyes(canvas: Canvas, face: Face) -> None:
    x, y = canvas.x.abs() - face.eye_x, canvas.y - face.eye_y
    size = 1 + 0.18 * face.trait("eye_size")
    white = canvas.inside(ellipse(x, y, 0.105 * size, 0.062 * size))
    canvas.paint(white, face.constant(0.97, 0.97, 0.95))
    canvas.paint(canvas.inside(circle(x, y, 0.055 * size)), face.iris)
    canvas.paint(canvas.inside(circle(x, y, 0.027 * size)), 0.1 * face.iris)
    lid = face.eye_y - 0.062 * size + 4.5 * x.square()
    canvas.paint(canvas.lens(x, lid, 0.12 * size, _like(canvas, 0.02)), 0.35 * face.skin)


def eyebrows(canvas: Canvas, face: Face) -> None:
    raised = face.has("raised_eyebrows")
    x = canvas.x.abs() - face.eye_x - 0.01
    middle = face.eye_y - 0.140 - 0.125 * raised + (0.8 + 3.2 * raised) * x.square()
    thickness = 0.036 + 0.012 * face.trait("eyebrows")
    canvas.paint(canvas.lens(x, middle, _like(canvas, 0.155), thickness), face.facial_hair)


def short_hair(canvas: Canvas, face: Face) -> None:
    """Over the head down to the ears, with a hairline that follows the parting."""
    cap = ellipse(canvas.x, canvas.y + 0.10, face.half_width + 0.085, _like(canvas, 0.71))
    tilt = 0.12 * face.trait("parting") * canvas.x
    line = tilt - 0.44 + 0.42 * (canvas.x / face.half_width).square()
    below = canvas.between(-1.2 + 0 * canvas.x, line.clamp(max=0.02))
    shade = 1.0 + 0.5 * (-0.55 - canvas.y).clamp_(min=0)
    canvas.paint(canvas.inside(cap) * below, _shaded(face.hair, shade))


def glasses(canvas: Canvas, face: Face) -> None:
    x, y = canvas.x.abs() - face.eye_x, canvas.y - face.eye_y
    rim = circle(x, y, 0.155)
    worn = face.has("glasses")
    canvas.paint(0.22 * canvas.inside(rim) * worn, face.constant(0.75, 0.88, 1.0))
    frame = canvas.stroke(rim, 0.045)
    bar = canvas.between(face.eye_y - 0.06 + 0 * canvas.x, face.eye_y - 0.02 + 0 * canvas.x)
    bridge = bar * canvas.within((face.eye_x - 0.155) * torch.ones_like(canvas.y))
    beside = canvas.inside(face.eye_x + 0.155 - canvas.x.abs())
    temples = bar * beside * canvas.inside(canvas.x.abs() - face.half_width)
    dark = face.constant(0.06, 0.06, 0.09)
    canvas.paint(torch.maximum(frame, torch.maximum(bridge, temples)) * worn, dark)


def hat(canvas: Canvas, face: Face) -> None:
    """A round hat with a band and a brim above the eyebrows."""
    worn = face.has("hat")
    crown = ellipse(canvas.x, canvas.y + 0.46, face.half_width + 0.06, _like(canvas, 0.52))
    level = canvas.between(-1.2 + 0 * canvas.x, -0.44 + 0 * canvas.x)
    shade = 0.95 - 0.25 * (canvas.x / face.half_width).square() - 0.3 * (canvas.y + 0.7)
    canvas.paint(canvas.inside(crown) * level * worn, _shaded(face.hat, shade))
    band = canvas.between(-0.58 + 0 * canvas.x, -0.44 + 0 * canvas.x)
    canvas.paint(canvas.inside(crown) * band * worn, 0.35 * face.hat)
    middle = -0.43 + 0.10 * canvas.x.square()
    brim = canvas.lens(canvas.x, middle, face.half_width + 0.24, _like(canvas, 0.065))
    canvas.paint(brim * worn, 0.8 * face.hat)


def earrings(canvas: Canvas, face: Face) -> None:
    drop = circle(canvas.x.abs() - face.half_width - 0.03, canvas.y - 0.27, 0.065)
    gold = face.constant(1.0, 0.86, 0.22)
    canvas.paint(canvas.inside(drop) * face.has("earrings"), gold)


_WHOLE = (-9.0, -9.0, 9.0, 9.0)
_HEAD = (-0.76, -0.8, 0.76, 1.05)
_MOUTH = (-0.34, 0.24, 0.34, 0.70)

PARTS: tuple[tuple[Part, Box], ...] = (
    (clothes, (-9.0, 0.72, 9.0, 9.0)),
    (ears, (-0.72, -0.15, 0.72, 0.25)),
    (long_hair, (-0.86, -0.92, 0.86, 1.15)),
    (neck, (-0.40, 0.33, 0.40, 1.05)),
    (head, (-0.64, -0.80, 0.64, 0.80)),
    (blush, (-0.50, 0.03, 0.50, 0.39)),
    (freckles, (-0.48, -0.02, 0.48, 0.42)),
    (beard, (-0.68, 0.0, 0.68, 0.83)),
    (nose, (-0.18, -0.12, 0.18, 0.34)),
    (moustache, (-0.28, 0.2, 0.28, 0.5)),
    (mouth, _MOUTH),
    (eyes, (-0.41, -0.19, 0.41, 0.13)),
    (eyebrows, (-0.43, -0.40, 0.43, -0.05)),
    (short_hair, (-0.72, -0.86, 0.72, 0.06)),
    (glasses, (-0.68, -0.28, 0.68, 0.2)),
    (hat, (-0.88, -1.02, 0.88, -0.26)),
    (earrings, (-0.75, 0.16, 0.75, 0.38)),
)
"""Parts and the boxes that hold them, from the back to the front."""

_BOXES = {part.__name__: box for part, box in PARTS}

REGIONS: dict[str, Box] = {
    **{name: box for name, box in _BOXES.items() if name in ATTRIBUTES},
    "raised_eyebrows": _BOXES["eyebrows"],
    "smile": _MOUTH,
    "open_mouth": _MOUTH,
    "light_skin": _HEAD,
    "dark_hair": _BOXES["long_hair"],
    "round_face": _WHOLE,
}
"""The box, in face units, outside of which an attribute changes nothing."""


def paint_face(canvas: Canvas, face: Face) -> None:
    """All parts, then the light."""
    backdrop(canvas, face)
    for part, box in PARTS:
        part(canvas.window(box), face)
    side = 1 + 0.10 * face.view("light_side") * canvas.x
    canvas.pixels.mul_(face.light[:, :, None, None] * side[:, None])


def _head_distance(canvas: Canvas, face: Face, margin: float) -> Tensor:
    narrowing = 1 - face.taper * (canvas.y / face.half_height).clamp(0, 1).square()
    half_width = face.half_width * narrowing + margin
    return ellipse(canvas.x, canvas.y, half_width, face.half_height + margin)


def _shaded(colour: Tensor, shade: Tensor) -> Tensor:
    """Colour (n, 3) times shade, (n, h, w) or broadcastable: (n, 3, h, w)."""
    return colour[:, :, None, None] * shade[:, None]


def _like(canvas: Canvas, value: float) -> Tensor:
    return torch.full_like(canvas.pixel, value)
