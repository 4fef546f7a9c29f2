"""What images went through before anybody scores them: what two sets that are told apart must share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

_TOLERANCE = 1.05
"""Largest ratio of two scales that count as equal."""


@dataclass(frozen=True)
class ImageHistory:
    """How a data set's images came to be what they are, as far as a score can see it without looking at them.

    colour: whether the channels may differ; grey images repeated in three channels are not in colour.
    jpeg: whether they have been through JPEG at any time.
    jpeg_quality: of the last time, on Pillow's scale; None where it is not known or there was none.
    dequantised: whether uniform noise fills the gaps between the 8-bit levels.
    jpeg_scale: how far the images were reduced after that, their side then by their side now: least, most.
        None where it is not known or there was none. JPEG leaves less of a trace the further it is reduced.
    """

    colour: bool
    jpeg: bool
    jpeg_quality: int | None
    dequantised: bool
    jpeg_scale: tuple[float, float] | None = None

    def differences(self, other: ImageHistory) -> Iterator[tuple[str, str, str]]:
        """(what holds here, what holds for the other, what makes both the same), for each difference."""
        if self.colour != other.colour:
            words = {True: "is in colour", False: "is grey"}
            yield words[self.colour], words[other.colour], 'channels = "grey" on both sides'
        if self.jpeg != other.jpeg:
            words = {True: "has been through JPEG", False: "has not"}
            yield words[self.jpeg], words[other.jpeg], "jpeg_quality on the side without"
        elif self.jpeg_quality and other.jpeg_quality and self.jpeg_quality != other.jpeg_quality:
            text = "was last through JPEG of quality {}"
            here, there = text.format(self.jpeg_quality), text.format(other.jpeg_quality)
            yield here, there, "the same jpeg_quality on both sides"
        if self.jpeg_scale and other.jpeg_scale and not _alike(self.jpeg_scale, other.jpeg_scale):
            least = min(self.jpeg_scale[0], other.jpeg_scale[0])
            remedy = f"jpeg_quality and jpeg_size = {least:.3g} x size on the side reduced more"
            yield _reduced(self.jpeg_scale), _reduced(other.jpeg_scale), remedy
        if self.dequantised != other.dequantised:
            words = {True: "is dequantised", False: "is not"}
            yield words[self.dequantised], words[other.dequantised], "dequantise on both sides or on neither"


def _alike(scale: tuple[float, float], other: tuple[float, float]) -> bool:
    return all(max(pair) <= _TOLERANCE * min(pair) for pair in zip(scale, other))


def _reduced(scale: tuple[float, float]) -> str:
    least, most = (f"{end:.3g}" for end in scale)
    return f"is reduced {least if least == most else f'{least} to {most}'} times after JPEG"
