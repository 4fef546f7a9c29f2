"""`[define]`: values that a suite writes once and uses by name, as "$name".

A definition may use those above it. In a list, a definition that is a list gives its items; a table whose
`name` is a definition that is a table is that table with what stands beside the name changed or added:

    [define]
    unet   = { name = "ddpm_unet", width = 16 }
    scores = ["kde", { name = "msma", generator = "$unet" }]

    [[run]]
    methods = ["gmm", "$scores", { name = "msma", generator = { name = "$unet", iterations = 5000 } }]

Messages and `--set` count lists as they are then.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from mfbench.spelling import did_you_mean
from mfbench.suite.fields import table
from mfbench.suite.toml import check_plain
from mfbench.wording import Where, show

_MARK = "$"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MOST = 100_000
"""Values that definitions may become: a few lines could otherwise double each other without end."""


def expand(raw: dict[str, Any], where: Where) -> dict[str, Any]:
    """The parsed suite without `[define]`, its `[[run]]` tables with every "$name" replaced.

    UserError for a name that is not defined, or not above, and for a definition that nothing uses.
    """
    if "define" not in raw:
        return raw
    place = where.key("define")
    known = _Definitions()
    for name, value in table(place, raw["define"]).items():
        if not _NAME.fullmatch(name):
            raise place.key(name).error("a definition's name is made of letters, digits and '_'")
        known.values[name] = known.replaced(value, place.key(name))
        check_plain(known.values[name], place.key(name))
    runs = known.replaced(raw.get("run", []), where.key("run"))
    check_plain(runs, where.key("run"))
    for name in known.values:
        if name not in known.used:
            raise place.key(name).error(f'nothing uses it: write "{_MARK}{name}" where it belongs')
    kept = {key: value for key, value in raw.items() if key != "define"}
    return {**kept, "run": runs} if "run" in raw else kept


class _Definitions:
    """Those read so far, which of them were used, and how much they became."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.used: set[str] = set()
        self.size = 0

    def replaced(self, value: Any, where: Where) -> Any:
        """`value` with every "$name" in it replaced, keys of tables excepted."""
        self._grow(1, where)
        if isinstance(value, dict):
            return self._table(value, where)
        if isinstance(value, list):
            return self._list(value, where)
        return self._looked_up(value, where) if _is_name(value) else value

    def _grow(self, by: int, where: Where) -> None:
        self.size += by
        if self.size > _MOST:
            raise where.error(f"definitions become more than {_MOST:,} values here")

    def _table(self, value: Mapping[str, Any], where: Where) -> Any:
        made = {key: self.replaced(inner, where.key(key)) for key, inner in value.items()}
        if not _is_name(value.get("name")):
            return made
        base = made.pop("name")
        if not isinstance(base, dict):
            return {"name": base, **made}
        return {**base, **made}

    def _list(self, value: list[Any], where: Where) -> list[Any]:
        made: list[Any] = []
        for index, item in enumerate(value):
            new = self.replaced(item, where.item(index))
            made += new if _is_name(item) and isinstance(new, list) else [new]
        return made

    def _looked_up(self, text: str, where: Where) -> Any:
        name = text.removeprefix(_MARK)
        if name not in self.values:
            near = did_you_mean(name, self.values)
            raise where.error(f"{show(text)} is not defined in [define], or not above{near}")
        self.used.add(name)
        self._grow(_count(self.values[name]), where)
        return _copy(self.values[name])


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(_MARK)


def _copy(value: Any) -> Any:
    """A copy, as settings write into parsed suites."""
    if isinstance(value, dict):
        return {key: _copy(inner) for key, inner in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value


def _count(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(map(_count, inner))
