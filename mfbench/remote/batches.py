"""Errands of the coordinator, and which of them may travel together.

A task costs ten milliseconds on its way through Dask, whatever it does. Cells that are known to be short go
to a worker several at a time; all others go alone, so that none waits behind another on a busy worker.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

from mfbench.engine.records import ended, now

MOST_TOGETHER = 8
"""Cells in one task."""

SHORT_S = 0.03
"""What takes longer goes alone."""

_FORGETS = 0.9
"""What is left of an old time at each new one: the first cell of a worker waits for its child to start."""


class Errand:
    """A task on its way: its text, what it says, how many workers were lost with it, and who waits for it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.task: Mapping[str, Any] = json.loads(text)
        self.lost = 0
        self.future: Future[str] = Future()
        self._started = now()

    def done(self) -> bool:
        """Whether it is settled, or nobody waits for it any more."""
        return self.future.done()

    def settle(self, record: str) -> None:
        """Its record is there."""
        if not self.done():
            self.future.set_result(record)

    def end(self, status: str, error: Mapping[str, str]) -> None:
        """No worker gave a record: it ends as this one."""
        self.settle(json.dumps(ended(self.task, status, error, self._started)))

    def fail(self, error: Exception) -> None:
        """The run cannot go on."""
        if not self.done():
            self.future.set_exception(error)


class Waiting(asyncio.Queue[Errand]):
    """Errands that nobody does yet."""

    def next(self) -> Errand:
        """The one that is got next; the queue must not be empty."""
        found: Errand = self._queue[0]  # type: ignore[attr-defined]
        return found


class Pace:
    """How long cells take, by protocol, method and data; the longest one counts, the less the older it is."""

    def __init__(self) -> None:
        self._longest: dict[tuple[str, ...], float] = {}

    def took(self, errand: Errand, seconds: float) -> None:
        """A worker has done it."""
        if errand.task["type"] == "cell":
            name = _name(errand)
            self._longest[name] = max(seconds, _FORGETS * self._longest.get(name, 0.0))

    def is_short(self, errand: Errand) -> bool:
        """Whether it may go with others: a cell of a sort that was short, and no worker was lost with it."""
        if errand.task["type"] != "cell" or errand.lost:
            return False
        return self._longest.get(_name(errand), SHORT_S) < SHORT_S

    @property
    def has_short(self) -> bool:
        """Whether some cells were short."""
        return any(seconds < SHORT_S for seconds in self._longest.values())


def _name(errand: Errand) -> tuple[str, ...]:
    job = errand.task["job"]
    return tuple(str(job[part]["name"]) for part in ("protocol", "method", "data"))
