"""Reads the fields of a suite: one small reader a kind of value, `(where, raw) -> checked value`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mfbench.spelling import did_you_mean
from mfbench.wording import Where, show

Reader = Callable[[Where, Any], Any]

_LONGEST_LIMIT = 1e6
_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,9})?)\s*(B|[KMGT]i?B)")
_UNITS = {"B": 1}
_UNITS |= {f"{prefix}B": 1000**i for i, prefix in enumerate("KMGT", 1)}
_UNITS |= {f"{prefix}iB": 1024**i for i, prefix in enumerate("KMGT", 1)}


def read_table(
    where: Where, raw: Mapping[str, Any], readers: Mapping[str, Reader], required: Sequence[str] = ()
) -> dict[str, Any]:
    """The table with every key read by its reader; unknown and missing keys are mistakes."""
    for key in raw:
        if key not in readers:
            raise where.key(key).error(f"unknown key{did_you_mean(key, readers)}")
    for key in required:
        if key not in raw:
            raise where.key(key).error("missing")
    return {key: readers[key](where.key(key), value) for key, value in raw.items()}


def as_is(where: Where, raw: Any) -> Any:
    """Any value: whoever uses it checks it."""
    return raw


def table(where: Where, raw: Any) -> dict[str, Any]:
    """A table."""
    if not isinstance(raw, dict):
        raise where.error(f"expected a table, found {show(raw)}")
    return raw


def string(where: Where, raw: Any) -> str:
    """Text that is not empty."""
    if not isinstance(raw, str) or not raw:
        raise where.error(f"expected a text in quotes, found {show(raw)}")
    return raw


def boolean(where: Where, raw: Any) -> bool:
    """true or false."""
    if not isinstance(raw, bool):
        raise where.error(f"expected true or false, found {show(raw)}")
    return raw


def seconds(where: Where, raw: Any) -> float:
    """A positive number of seconds."""
    if isinstance(raw, bool) or not isinstance(raw, int | float) or not 0 < raw <= _LONGEST_LIMIT:
        raise where.error(f"expected seconds above 0 and at most {_LONGEST_LIMIT:.0f}, found {show(raw)}")
    return float(raw)


def whole(low: int, high: int) -> Reader:
    """A whole number from `low` to `high`."""

    def read(where: Where, raw: Any) -> int:
        if isinstance(raw, bool) or not isinstance(raw, int) or not low <= raw <= high:
            raise where.error(f"expected a whole number from {low} to {high}, found {show(raw)}")
        return raw

    return read


def one_of(*options: str) -> Reader:
    """One of a few words."""

    def read(where: Where, raw: Any) -> str:
        if raw not in options or not isinstance(raw, str):
            raise where.error(f"expected {' or '.join(map(show, options))}, found {show(raw)}")
        return raw

    return read


def items(where: Where, raw: Any, read: Reader, what: str) -> tuple[Any, ...]:
    """A list with something in it."""
    if not isinstance(raw, list):
        raise where.error(f"expected a list of {what}, found {show(raw)}; write [{show(raw)}]")
    if not raw:
        raise where.error(f"the list is empty: name at least one of the {what}")
    return tuple(read(where.item(index), value) for index, value in enumerate(raw))


def size(where: Where, raw: Any) -> int:
    """Bytes: a whole number, or a text such as "8 GiB"."""
    found = _SIZE.fullmatch(raw.strip()) if isinstance(raw, str) else None
    number = round(float(found[1]) * _UNITS[found[2]]) if found else raw
    if isinstance(number, bool) or not isinstance(number, int) or not 0 < number < 2**63:
        raise where.error(f'expected a size above 0 such as "8 GiB", or bytes, found {show(raw)}')
    return number
