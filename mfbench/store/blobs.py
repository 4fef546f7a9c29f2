"""Arrays as they travel and lie: zlib-compressed little-endian bytes with dtype and shape, never pickles.

On the way (JSON) the bytes are base64; in the store they are bytes.
"""

from __future__ import annotations

import base64
import math
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

_LEVEL = 1
"""Per-example scores hardly compress; the level is chosen for speed."""

_KINDS = "biuf"


def encode_array(array: np.ndarray) -> dict[str, Any]:
    """{"dtype", "shape", "data"} of an array of booleans, integers or real numbers; TypeError for others."""
    if array.dtype.kind not in _KINDS:
        raise TypeError(f"an array of {array.dtype} cannot be stored: booleans, integers or real numbers can")
    little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    packed = base64.b64encode(zlib.compress(little.tobytes(), _LEVEL)).decode()
    return {"dtype": little.dtype.str, "shape": list(array.shape), "data": packed}


def decode_array(blob: Mapping[str, Any]) -> np.ndarray:
    """The array; `data` is base64 text or bytes. ValueError where the parts do not fit together."""
    dtype = np.dtype(blob["dtype"])
    if dtype.kind not in _KINDS:
        raise ValueError(f"a stored array of {dtype} is not expected")
    raw = zlib.decompress(raw_bytes(blob["data"]))
    shape = tuple(int(size) for size in blob["shape"])
    if len(raw) != dtype.itemsize * math.prod(shape):
        raise ValueError(f"{len(raw)} bytes do not make an array of shape {shape} and type {dtype}")
    return np.frombuffer(raw, dtype).reshape(shape)


def raw_bytes(data: str | bytes) -> bytes:
    """The compressed bytes of a blob's `data`, base64 or not."""
    return base64.b64decode(data, validate=True) if isinstance(data, str) else data
