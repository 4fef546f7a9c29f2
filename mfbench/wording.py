"""How a mistake is told: one line that says the file, the key, what is wrong and what would be right."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from mfbench.errors import UserError

_LONGEST = 60
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True)
class Where:
    """A place in a suite: the file and the path of keys inside it, `run[1].methods[2].bandwidth`."""

    file: str
    path: str = ""

    def key(self, name: str) -> Where:
        """The entry `name` of the table here."""
        shown = name if _BARE_KEY.fullmatch(name) else show(name)
        return Where(self.file, f"{self.path}.{shown}" if self.path else shown)

    def item(self, index: int) -> Where:
        """Item `index`, counted from 0, of the list here."""
        return Where(self.file, f"{self.path}[{index}]")

    def error(self, message: str) -> UserError:
        """The mistake made here, ready to be raised; always one line."""
        place = f"{self.file}: {self.path}" if self.path else self.file
        return UserError(one_line(f"{place}: {message}"))


def one_line(text: str) -> str:
    """`text` with everything escaped that a terminal would not print on one line."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def show(value: Any) -> str:
    """A value as a message quotes it: as JSON, shortened."""
    text = one_line(json.dumps(value, ensure_ascii=False, default=str))
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
