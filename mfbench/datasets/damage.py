"""What readers of other people's formats say of a damaged file, as one line."""

from __future__ import annotations

_LONGEST = 200


def said(error: Exception | str) -> str:
    """What an exception (or a file) says, on one line and not too long; its kind where it says nothing."""
    text = " ".join(str(error).split()) or type(error).__name__
    text = "".join(c if c.isprintable() else "?" for c in text)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
