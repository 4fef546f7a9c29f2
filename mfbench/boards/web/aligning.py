"""Numbers of a column stand digit under digit: what must be added, unseen, for that."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

_NUMBER = re.compile(r"−?[\d,]*(\.\d+)?( ± [\d,]*(\.\d+)?)?")


class Aligned(NamedTuple):
    """A text in two pieces, each followed by what fills it up to the width of the column's widest."""

    head: str
    head_fill: str
    tail: str
    tail_fill: str


def align(texts: Sequence[str]) -> list[Aligned]:
    """Points under points and ± under ±, for texts that are aligned right in digits of one width.

    What is no number, or has a power of ten or two ends of its own, is left as it is.
    """
    found = [_NUMBER.fullmatch(text) for text in texts]
    decimals = [[len(match[group] or "") for match in found if match and match[0]] for group in (1, 3)]
    head, tail = (max(lengths, default=0) for lengths in decimals)
    has_tail = any(match and match[2] for match in found)
    return [
        _fill(match, head, tail, has_tail) if match and match[0] else Aligned(text, "", "", "")
        for text, match in zip(texts, found)
    ]


def _fill(match: re.Match[str], head: int, tail: int, has_tail: bool) -> Aligned:
    """Zeros and points that nobody sees: they are as wide as those that the neighbours have."""
    said = match[2] or ""
    blank = " ± 0" if has_tail and not said else ""
    return Aligned(
        match[0].removesuffix(said), _unseen(match[1], head), said, blank + _unseen(match[3], tail)
    )


def _unseen(decimals: str | None, longest: int) -> str:
    return ("." + "0" * (longest - 1) if longest else "")[len(decimals or "") :]
