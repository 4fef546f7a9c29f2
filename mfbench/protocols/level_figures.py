"""Pictures of images by level: reconstructions beside their originals, and samples beside data (Fig. 3).

Kept arrays, images as bytes (n, channels, h, w): `original:<level>` and `made:<level>`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mfbench.contracts import Record
from mfbench.identity import canonical
from mfbench.protocols import style
from mfbench.protocols.sample_image_figures import as_bytes, mosaic, show
from mfbench.protocols.showing import Kept, in_lines, one_of_each, seeds_of, value_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[Any]

DRAWN = 8
"""Images of a level."""
PANEL = (0.95, 1.0)
"""One image, in inches."""


def kept_pairs(original: Tensor, made: Tensor, level: int) -> dict[str, Array]:
    """The first images of a level and what the method made, as small arrays."""
    return {
        f"original:{level}": as_bytes(original[:DRAWN]),
        f"made:{level}": as_bytes(made[:DRAWN]),
    }


def levels_of(kept: Kept) -> list[int]:
    """The levels of which something was kept, the finest first."""
    return sorted(int(key.removeprefix("made:")) for key in kept if key.startswith("made:"))


def draw_reconstructions(records: Sequence[Record], arrays: Sequence[Kept]) -> dict[str, Figure]:
    """A block a method, a row a level: images (left) and their reconstructions (right) in pairs."""
    return _draw(records, arrays, "reconstructions", _pairs, "each image (left) beside its reconstruction")


def draw_generations(records: Sequence[Record], arrays: Sequence[Kept]) -> dict[str, Figure]:
    """A block a method, a row a level: held-out images (left half) and samples (right half)."""
    return _draw(records, arrays, "samples_by_level", _halves, "held-out images (left), samples (right)")


def _pairs(original: Array, made: Array) -> Array:
    half = min(len(made), DRAWN // 2)
    return np.stack([original[:half], made[:half]], 1).reshape(2 * half, *made.shape[1:])


def _halves(original: Array, made: Array) -> Array:
    return np.concatenate([original[: DRAWN // 2], made[: DRAWN // 2]])


def _draw(
    records: Sequence[Record], arrays: Sequence[Kept], name: str, arranged: Any, said: str
) -> dict[str, Figure]:
    shown = one_of_each(records, arrays)
    rows = [(record, kept, level) for record, kept in shown for level in levels_of(kept)]
    if not rows:
        return {}
    figure, axes = style.new_figure(len(rows), DRAWN, panel=PANEL)
    for ax in axes.flat:
        style.plain(ax)
    apart = _varying([record for record, _ in shown])
    for line, (record, kept, level) in zip(axes, rows):
        images = arranged(kept[f"original:{level}"], kept[f"made:{level}"])
        for ax, image in zip(line, images):
            show(ax, mosaic(image[None], 1))
        first = level == levels_of(kept)[0]
        _side(line[0], record, level, first, apart)
    style.heading(figure, f"{seeds_of(record for record, _ in shown)}; {said}")
    return {name: figure}


def _varying(records: Sequence[Record]) -> list[str]:
    """The plain protocol parameters of which the records have different values: they tell blocks apart."""
    asked: dict[str, set[str]] = {}
    for record in records:
        for name, value in record.protocol_parameters.items():
            if isinstance(value, bool | int | float | str | None):
                asked.setdefault(name, set()).add(canonical(value))
    return sorted(name for name, values in asked.items() if len(values) > 1)


def _side(ax: Axes, record: Record, level: int, first: bool, apart: Sequence[str]) -> None:
    """At a method's first row its name and what tells its blocks apart, then the level with its number."""
    part = "" if first else f"level {level}"
    about = [in_lines(record.label), *(f"{name} {record.protocol_parameters.get(name)}" for name in apart)]
    text = "\n".join([*(about if first else []), f"level {level}", *_numbers(record, part)])
    ax.set_ylabel(text, rotation=0, ha="right", va="center", fontsize=7)


def _numbers(record: Record, part: str) -> list[str]:
    decibel, kid = value_of(record, "psnr", part), value_of(record, "kid", part)
    said: Mapping[str, float] = {f"{decibel:.1f} dB": decibel, f"KID {kid:.3g}": kid}
    return [text for text, value in said.items() if np.isfinite(value)]
