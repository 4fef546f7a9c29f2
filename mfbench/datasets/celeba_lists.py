"""CelebA's three lists, read and held against each other."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mfbench.datasets.damage import said
from mfbench.datasets.images import Labels
from mfbench.errors import UserError

PARTS = ("train", "val", "test")
"""What 0, 1 and 2 stand for in list_eval_partition.txt."""


@dataclass(frozen=True)
class FaceLists:
    """What is known of n images, in the order of list_attr_celeba.txt.

    names: of the files. attributes (n, 40): 0 or 1. identity (n,): the person. part (n,): index into `PARTS`.
    """

    names: list[str]
    attribute_names: tuple[str, ...]
    attributes: Labels
    identity: Labels
    part: Labels


def read_lists(attribute_file: Path, partition_file: Path, identity_file: Path) -> FaceLists:
    """UserError names the file and the line that does not say what it should, or the image that it lacks, has
    twice, or has alone.
    """
    attribute_names, rows = _read_attributes(attribute_file)
    names = list(rows)
    part = _column(partition_file, names, attribute_file)
    if not np.isin(part, range(len(PARTS))).all():
        wrong = names[int(np.argmax(~np.isin(part, range(len(PARTS)))))]
        raise UserError(f"{partition_file}: {wrong} must have 0, 1 or 2 (train, val, test) behind it")
    attributes = np.array(list(rows.values()), dtype=np.int64)
    return FaceLists(names, attribute_names, attributes, _column(identity_file, names, attribute_file), part)


def _read_attributes(path: Path) -> tuple[tuple[str, ...], dict[str, list[bool]]]:
    lines = _lines(path)
    if len(lines) < 3 or len(lines[0]) != 1 or not _is_number(lines[0][0]):
        raise UserError(f"{path}: line 1 must be the number of images, line 2 the names of the attributes")
    attribute_names = tuple(lines[1])
    twice = next((name for name in attribute_names if attribute_names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"{path}, line 2: attribute {twice} is there twice")
    rows: dict[str, list[bool]] = {}
    for number, (name, *values) in enumerate(lines[2:], start=3):
        if len(values) != len(attribute_names):
            raise UserError(
                f"{path}, line {number}: {len(values)} values for {len(attribute_names)} attributes (line 2)"
            )
        if not set(values) <= {"1", "-1"}:
            raise UserError(f"{path}, line {number}: the attributes of {name} must be 1 or -1")
        _require_new(path, number, name, rows)
        rows[_file_name(path, number, name)] = [value == "1" for value in values]
    if len(rows) != int(lines[0][0]):
        raise UserError(f"{path}: line 1 says {lines[0][0]} images, {len(rows)} follow")
    return attribute_names, rows


def _column(path: Path, names: list[str], wanted_by: Path) -> Labels:
    """The number behind each name, in the order of `names`: each must be there once, and no other."""
    found: dict[str, int] = {}
    for number, words in enumerate(_lines(path), start=1):
        if len(words) != 2 or not _is_number(words[1]):
            raise UserError(f"{path}, line {number}: expected a file and a number, found {' '.join(words)!r}")
        _require_new(path, number, words[0], found)
        found[words[0]] = int(words[1])
    lacking = next((name for name in names if name not in found), None)
    if lacking is not None:
        raise UserError(f"{path}: has no line for {lacking}, which {wanted_by.name} lists")
    if len(found) > len(names):
        alone = min(found.keys() - set(names))
        raise UserError(f"{path}: has a line for {alone}, which {wanted_by.name} does not list")
    return np.array([found[name] for name in names], dtype=np.int64)


def _require_new(path: Path, number: int, name: str, known: Container[str]) -> None:
    if name in known:
        raise UserError(f"{path}, line {number}: {name} is there already, on a line before")


def _lines(path: Path) -> list[list[str]]:
    try:
        text = path.read_text(encoding="ascii")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: no text ({error.reason} at byte {error.start})") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({said(error)})") from None
    return [line.split() for line in text.splitlines() if line.strip()]


def _is_number(word: str) -> bool:
    """Whether it is a natural number that 64 bits hold."""
    return word.isdecimal() and len(word) <= _DIGITS


_DIGITS = 18


def _file_name(path: Path, number: int, name: str) -> str:
    """A name that leads nowhere else."""
    if not name.isprintable() or "/" in name or "\\" in name or name in (".", ".."):
        raise UserError(f"{path}, line {number}: {name!r} must be the name of a file, not a path")
    return name
