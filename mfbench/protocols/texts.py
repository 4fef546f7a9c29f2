"""Texts among the arrays that a measurement keeps for its figures."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def as_bytes_of(text: str) -> NDArray[Any]:
    """UTF-8, (bytes,) uint8."""
    return np.frombuffer(text.encode(), dtype=np.uint8).copy()


def text_of(array: NDArray[Any]) -> str:
    """What `as_bytes_of` was given."""
    return array.astype(np.uint8).tobytes().decode()
