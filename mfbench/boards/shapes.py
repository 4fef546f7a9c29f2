"""Shapes of JSON: what keys an object must have, and what may stand in them.

A shape answers two questions. `holds` is asked of all lines of a file at once, one column after the other,
and is quick; `problem` is asked of one value, where something does not hold, and says what and where.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, pairwise
from operator import itemgetter
from typing import Any, Protocol

_DEEPEST = 30
"""Parameters are nested no deeper than this: what recurses over them later can."""
_LONGEST = 40
_NON_FINITE = frozenset({"inf", "-inf", "nan"})
_SCALARS = frozenset({str, int, float, bool, type(None)})
_WORDS = {str: "text", int: "number", float: "number", bool: "boolean", list: "list", dict: "object"}
_CHOICE, _FILE = ("kind", "name", "parameters"), ("file", "sha256")


class Shape(Protocol):
    """What a value must be."""

    def holds(self, items: Sequence[Any]) -> bool:
        """Whether all of the items have this shape."""
        ...

    def problem(self, value: Any, path: str) -> str:
        """The first thing that is wrong with a value, which lies at `path`; "" where nothing is."""
        ...


@dataclass(frozen=True)
class Leaf:
    """A plain value: of one of these types and, where there is a test, all of a column passing it."""

    said: str
    types: frozenset[type]
    test: Callable[[Sequence[Any]], bool] | None = None

    def holds(self, items: Sequence[Any]) -> bool:
        return set(map(type, items)) <= self.types and (not items or self.test is None or self.test(items))

    def problem(self, value: Any, path: str) -> str:
        return "" if self.holds([value]) else f"{path!r} is {_show(value)}, not {self.said}"


@dataclass(frozen=True)
class Maybe:
    """A shape, or null."""

    shape: Shape

    def holds(self, items: Sequence[Any]) -> bool:
        return self.shape.holds([item for item in items if item is not None] if None in items else items)

    def problem(self, value: Any, path: str) -> str:
        return "" if value is None else self.shape.problem(value, path)


@dataclass(frozen=True)
class Each:
    """A list of values of one shape."""

    shape: Shape

    def holds(self, items: Sequence[Any]) -> bool:
        return set(map(type, items)) <= {list} and self.shape.holds(list(chain.from_iterable(items)))

    def problem(self, value: Any, path: str) -> str:
        if type(value) is not list:
            return f"{path!r} is {_show(value)}, not a list"
        found = (self.shape.problem(item, f"{path}[{place}]") for place, item in enumerate(value))
        return next(filter(None, found), "")


@dataclass(frozen=True)
class Named:
    """An object with keys of the data's own, all values of one shape; `keys` is a regular expression."""

    shape: Shape
    keys: str = ""

    def holds(self, items: Sequence[Any]) -> bool:
        if not set(map(type, items)) <= {dict}:
            return False
        named = not self.keys or all(map(re.compile(self.keys).fullmatch, chain.from_iterable(items)))
        return named and self.shape.holds(list(chain.from_iterable(map(dict.values, items))))

    def problem(self, value: Any, path: str) -> str:
        if type(value) is not dict:
            return f"{path!r} is {_show(value)}, not an object"
        for name in value:
            if self.keys and not re.fullmatch(self.keys, name):
                return f"{path!r} has a key {_show(name)}, which is not of the form {self.keys}"
        found = (self.shape.problem(item, _at(path, name)) for name, item in value.items())
        return next(filter(None, found), "")


@dataclass(frozen=True)
class Struct:
    """An object with these keys, and possibly the `optional` ones; `closed`: and with no others."""

    required: Mapping[str, Shape]
    optional: Mapping[str, Shape] = field(default_factory=dict)
    closed: bool = False

    def holds(self, items: Sequence[Any]) -> bool:
        if not set(map(type, items)) <= {dict}:
            return False
        if self.closed and any(map(self._unknown, items)):
            return False
        try:
            columns = [list(map(itemgetter(key), items)) for key in self.required]
        except KeyError:
            return False
        if not all(shape.holds(column) for shape, column in zip(self.required.values(), columns)):
            return False
        return all(
            shape.holds([item[key] for item in items if key in item]) for key, shape in self.optional.items()
        )

    def problem(self, value: Any, path: str) -> str:
        if type(value) is not dict:
            return f"{path!r} is {_show(value)}, not an object"
        for key in self.required:
            if key not in value:
                return f"{_at(path, key)!r} is missing"
        unknown = self._unknown(value) if self.closed else []
        if unknown:
            return f"{_at(path, unknown[0])!r} is not known here"
        shapes = {**self.required, **{key: shape for key, shape in self.optional.items() if key in value}}
        found = (shape.problem(value[key], _at(path, key)) for key, shape in shapes.items())
        return next(filter(None, found), "")

    def _unknown(self, item: Mapping[str, Any]) -> list[str]:
        return sorted(item.keys() - self.required.keys() - self.optional.keys())


@dataclass(frozen=True)
class Tree:
    """Plain finite values, lists, and objects; of these, where `choices`, only choices and files."""

    choices: bool = True

    def holds(self, items: Sequence[Any]) -> bool:
        level: Sequence[Any] = items
        for _ in range(_DEEPEST):
            types = set(map(type, level))
            if not types <= _SCALARS | {list, dict}:
                return False
            if not _finite([item for item in level if type(item) in (int, float)]):
                return False
            if not types & {list, dict}:
                return True
            level = list(chain.from_iterable(map(self._inside, level)))
        return False

    def _inside(self, item: Any) -> Sequence[Any]:
        """What lies directly in an item; an object that is no choice holds what no tree may."""
        if type(item) is list:
            return item
        if type(item) is not dict:
            return ()
        if not self.choices:
            return list(item.values())
        if item.keys() == set(_FILE):
            return () if all(type(item[name]) is str for name in _FILE) else (_OUTLAW,)
        texts = all(type(item.get(name)) is str for name in _CHOICE[:2])
        inner = item.get("parameters")
        return list(inner.values()) if texts and type(inner) is dict else (_OUTLAW,)

    def problem(self, value: Any, path: str) -> str:
        if self.holds([value]):
            return ""
        below = f"or nested more than {_DEEPEST} deep, or a number too large, or an object that is no choice"
        return f"{path!r} is {_show(value)}, which has something in it that is not plain data ({below})"


_OUTLAW = object()


@dataclass(frozen=True)
class Runs:
    """A shape of which neighbours are often equal (one method, several seeds): each is looked at once."""

    shape: Shape

    def holds(self, items: Sequence[Any]) -> bool:
        changes = [later for earlier, later in pairwise(items) if earlier != later]
        return self.shape.holds([*items[:1], *changes])

    def problem(self, value: Any, path: str) -> str:
        return self.shape.problem(value, path)


def _at(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _show(value: Any) -> str:
    """A value and its kind, in a few characters: `text "x"`, `null`, `an object`."""
    if value is None:
        return "null"
    if type(value) in (list, dict):
        return f"{'a' if type(value) is list else 'an'} {_WORDS[type(value)]}"
    text = json.dumps(value)
    return f"{_WORDS[type(value)]} {text if len(text) <= _LONGEST else text[: _LONGEST - 1] + '…'}"


def whole(low: int, high: int, said: str = "a whole number") -> Leaf:
    """Whole numbers from `low` to `high`."""
    return Leaf(said, frozenset({int}), lambda items: low <= min(items) and max(items) <= high)


def one_of(*texts: str) -> Leaf:
    """One of these texts."""
    return Leaf(f"one of {', '.join(texts)}", frozenset({str}), lambda items: set(items) <= {*texts})


def matching(pattern: str, said: str) -> Leaf:
    """Texts that a regular expression matches whole."""
    return Leaf(said, frozenset({str}), lambda items: all(map(re.compile(pattern).fullmatch, items)))


def _numbers(items: Sequence[Any]) -> bool:
    """Finite floats, whole numbers that a float can hold, and the names of what is not finite."""
    types = set(map(type, items))
    if str in types and not {item for item in items if type(item) is str} <= _NON_FINITE:
        return False
    numbers = [item for item in items if type(item) is not str] if str in types else items
    return _finite(numbers)


def _finite(items: Sequence[Any]) -> bool:
    """Whether all are numbers that a float can hold."""
    try:
        return all(map(math.isfinite, items))
    except OverflowError:
        return False


TEXT = Leaf("a text", frozenset({str}))
BOOL = Leaf("true or false", frozenset({bool}))
WHOLE = whole(-(2**63), 2**63 - 1)
COUNT = whole(0, 2**53, "a whole number from 0 on")
NUMBER = Leaf('a number, "inf", "-inf" or "nan"', frozenset({int, float, str}), _numbers)
FINITE = Leaf("a number", frozenset({int, float}), _finite)
PROBABILITY = Leaf(
    "a number from 0 to 1", frozenset({int, float}), lambda items: min(items) >= 0 and max(items) <= 1
)
PARAMETERS = Runs(Named(Tree()))
"""Parameters of a choice: name -> plain value, list, choice, or file."""
