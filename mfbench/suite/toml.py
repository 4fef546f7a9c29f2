"""TOML as the bench accepts it: UTF-8 text with plain values, every defect told in one line."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from mfbench.wording import Where, show

_DEEPEST = 16


def read_text(file: Path, where: Where) -> str:
    """The text of a UTF-8 file, with or without a byte order mark."""
    try:
        return file.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    except FileNotFoundError:
        raise where.error("there is no such suite file") from None
    except IsADirectoryError:
        raise where.error("is a folder: name the suite's TOML file") from None
    except UnicodeDecodeError as error:
        raise where.error(f"not UTF-8 text (byte {error.start}): save it as UTF-8") from None
    except (OSError, ValueError) as error:
        raise where.error(f"cannot be read: {getattr(error, 'strerror', None) or error}") from None


def parse_toml(text: str, where: Where) -> dict[str, Any]:
    """TOML of strings, finite numbers of 64 bits, booleans, and lists and tables of modest depth."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        end = f"at the end, line {len(text.splitlines())}"
        raise where.error(f"not TOML: {str(error).replace('at end of document', end)}") from None
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else "a number is too long"
        raise where.error(f"not a suite: {reason}") from None
    check_plain(raw, where)
    return raw


def check_plain(value: Any, where: Where, depth: int = 0) -> None:
    """Raise UserError unless `value` is a plain value that every later step can handle."""
    if depth > _DEEPEST:
        raise where.error(f"nested too deeply: at most {_DEEPEST} levels")
    if isinstance(value, dict):
        for key, inner in value.items():
            check_plain(inner, where.key(key), depth + 1)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            check_plain(inner, where.item(index), depth + 1)
    elif isinstance(value, float):
        if not abs(value) < float("inf"):
            raise where.error(f"{value} is not a finite number")
    elif isinstance(value, int):
        if not -(2**63) <= value < 2**63:
            raise where.error("the whole number does not fit into 64 bits")
    elif not isinstance(value, str):
        raise where.error(f"{show(value)} is a date or a time: put it in quotes if text is meant")
