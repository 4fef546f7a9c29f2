"""Identities and seeds: canonical JSON, its SHA-256, and seeds derived from names.

The documented derivation: `derive_seed("evaluate", "ood_auroc", "swiss_roll", 0)` is the first eight bytes,
big-endian, of SHA-256 of the arguments as a canonical JSON list, modulo 2^63. Nothing else enters a seed.
"""

from __future__ import annotations

import hashlib
import json
import math
from typing import Any

# `json.dumps` would make an encoder a call: plans and boards make hundreds of thousands of them.
_encode = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False, check_circular=False
).encode


def canonical(value: Any) -> str:
    """JSON with sorted keys and no white space; NaN and infinities are refused (ValueError)."""
    return _encode(value)


def sha256_of(value: Any) -> str:
    """SHA-256, in hexadecimal, of the canonical JSON of `value`."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def derive_seed(*names: str | int) -> int:
    """A seed in [0, 2^63) that depends on the names alone, for torch and NumPy generators alike."""
    digest = hashlib.sha256(canonical(list(names)).encode()).digest()
    return int.from_bytes(digest[:8], "big") % 2**63


def encode_float(value: float | None) -> float | str | None:
    """A float as strict JSON has it: "inf", "-inf" and "nan" are strings."""
    if value is None or math.isfinite(value):
        return None if value is None else float(value)
    return "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf")


def decode_float(value: float | str | None) -> float | None:
    """The inverse of `encode_float`."""
    return None if value is None else float(value)
