"""What images went through before anybody scores them: what two sets that are told apart must share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class ImageHistory:
    """How a data set's images came to be what they are, as far as a score can see it without looking at them.

    colour: whether the channels may differ; grey images repeated in three channels are not in colour.
    jpeg: whether they have been through JPEG at any time.
    jpeg_quality: of the last time, on Pillow's scale; None where it is not known or there was none.
    dequantised: whether uniform noise fills the gaps between the 8-bit levels.
    """

    colour: bool
    jpeg: bool
    jpeg_quality: int | None
    dequantised: bool

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
        if self.dequantised != other.dequantised:
            words = {True: "is dequantised", False: "is not"}
            yield words[self.dequantised], words[other.dequantised], "dequantise on both sides or on neither"
