"""Unknown names answered with the nearest known ones."""

from __future__ import annotations

from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The end of an error message: `; did you mean 'rk4'?`, or all the known names where none is near."""
    from difflib import get_close_matches

    names = sorted(set(known))
    lowered = {name.lower(): name for name in names}
    near = get_close_matches(word.lower(), lowered, n=3, cutoff=0.6)  # the nearest first
    if near:
        return f"; did you mean {' or '.join(repr(lowered[match]) for match in near)}?"
    return f"; there are {', '.join(names)}" if names else "; there are none"
