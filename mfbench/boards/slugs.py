"""File names of tables: short, safe, and distinct."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from mfbench.identity import sha256_of

_LONGEST = 80


def slugs(tables: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Table key -> file name without ending, from one record of each: "ood_auroc-swiss_roll".

    Tables that would share a name (another version, other parameters of the data) carry eight digits of the
    key's hash.
    """
    plain = {
        key: f"{slug(record['protocol']['name'])}-{slug(record['data']['name'])}"
        for key, record in tables.items()
    }
    taken = Counter(name.casefold() for name in plain.values())
    return {
        key: name if taken[name.casefold()] == 1 else f"{name}-{sha256_of(key)[:8]}"
        for key, name in plain.items()
    }


def slug(text: str) -> str:
    """`text` in letters, digits, "_", "-" and ".", never hidden and never a path."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", text).strip("-.")[:_LONGEST] or "unnamed"
