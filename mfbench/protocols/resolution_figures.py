"""Pictures of super-resolution (Tu et al. 2023, Fig. 4), and quality over faithfulness.

Kept arrays, images as bytes (n, channels, h, w): `low`, `original`, and `made:<draw>`.
"""

from __future__ import annotations

import re
import textwrap
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mfbench.contracts import Record
from mfbench.protocols import style
from mfbench.protocols.sample_image_figures import as_bytes, mosaic, show
from mfbench.protocols.showing import Kept, one_of_each, seeds_of, value_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[Any]
Shown = Sequence[tuple[Record, Kept]]

DRAWN = 6
"""Images shown."""
DRAWS = 3
"""Draws of z shown of a method that has several."""
PANEL = (1.15, 1.15)
"""One image, in inches."""
TITLE_LINE = 0.13
"""Height of a line of a column's title, in inches."""
TITLE_LETTERS = 20
"""Of a line of a column's title: as many as are as wide as an image."""


def kept(low: Tensor, originals: Tensor, made: Sequence[Tensor]) -> dict[str, Array]:
    """The first images; of a method whose draws are all the same, one draw."""
    arrays = {"low": as_bytes(low[:DRAWN]), "original": as_bytes(originals[:DRAWN])}
    first = as_bytes(made[0][:DRAWN])
    for place, images in enumerate(made[:DRAWS]):
        picture = as_bytes(images[:DRAWN])
        if place == 0 or not np.array_equal(picture, first):
            arrays[f"made:{place}"] = picture
    return arrays


def draw(records: Sequence[Record], arrays: Sequence[Kept]) -> dict[str, Figure]:
    """A figure for each factor and temperature."""
    groups: dict[tuple[int, float], list[tuple[Record, Kept]]] = defaultdict(list)
    for record, images in one_of_each(records, arrays):
        asked = record.protocol_parameters
        groups[int(asked.get("factor", 2)), float(asked.get("temperature", 1.0))].append((record, images))
    warm = len({temperature for _, temperature in groups}) > 1
    return {
        f"super_resolution_{factor}x" + (f"_temperature_{temperature:g}" if warm else ""): _draw(
            shown, factor, temperature
        )
        for (factor, temperature), shown in groups.items()
    }


def _draw(shown: Shown, factor: int, temperature: float) -> Figure:
    """Rows: images; columns: small image, original, and each method with its draws."""
    columns = [(record, key, images[key]) for record, images in shown for key in _draws_of(images)]
    _, images = shown[0]
    titles = [f"{images['low'].shape[3]} x {images['low'].shape[2]}", "original"]
    titles += [_title(record) if key == "made:0" else "another draw" for record, key, _ in columns]
    pictures = [images["low"], images["original"], *(made for _, _, made in columns)]
    height = PANEL[1] + TITLE_LINE * max(title.count("\n") for title in titles) / len(images["low"])
    figure, axes = style.new_figure(len(images["low"]), len(pictures), panel=(PANEL[0], height))
    for line, row in zip(axes, zip(*pictures, strict=True)):
        for ax, image in zip(line, row):
            style.plain(ax)
            show(ax, mosaic(image[None], 1))
    for ax, title in zip(axes[0], titles):
        ax.set_title(title, fontsize=6)
    seeds = seeds_of(record for record, _ in shown)
    style.heading(figure, f"{seeds}; {factor} times larger, temperature {temperature:g}")
    return figure


def _draws_of(images: Kept) -> list[str]:
    return sorted(key for key in images if key.startswith("made:"))


def _title(record: Record) -> str:
    """The method's label in short lines, broken after brackets and equality signs, and two of its numbers."""
    lines = textwrap.wrap(re.sub(r"([(=])", r"\1 ", record.label), TITLE_LETTERS)
    label = "\n".join(re.sub(r"([(=]) ", r"\1", line) for line in lines)
    kid, consistency = value_of(record, "kid"), value_of(record, "consistency")
    return f"{label}\nKID {kid:.2g}\nreduced {consistency:.0f} dB"
