"""Talks to MLflow in a thread, so that a server that is slow or down holds up no run.

MLflow tries again for minutes where its server does not answer. What is sent waits in a queue meanwhile; the
first failure ends the log of the run, with one line of warning. Results are mfbench's, and lie in its store.
"""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Callable, Mapping
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from mfbench_mlflow.wording import Entry

if TYPE_CHECKING:
    from mfbench_mlflow.tracker import Tracker

ROOM = 10_000
"""Cells that may wait (a few kilobytes each); those that come then are not logged."""

STARTING_S = 60.0
"""How long MLflow may take to be imported, make the tables of a new database and give its first answers."""

STALLED_S = 10.0
"""How long the end of a run waits for an MLflow that answers nothing,"""

LONGEST_S = 120.0
"""and for one that does."""

_LOOK_S = 0.5

_LONGEST_REASON = 400


Answered = Callable[[], None]
"""To be called after each call that MLflow answered."""


def open_tracker(plan: Mapping[str, Any], answered: Answered) -> Tracker:
    """The MLflow run; imports MLflow, which takes seconds."""
    from mfbench_mlflow.tracker import Tracker

    return Tracker(plan, answered)


class Sender:
    """Logs one run of mfbench; its coordinator calls `cell` and `finish`, the rest is the thread's."""

    def __init__(
        self,
        plan: Mapping[str, Any],
        open_tracker: Callable[[Mapping[str, Any], Answered], Tracker] = open_tracker,
    ) -> None:
        self._waiting: SimpleQueue[Entry | Mapping[str, Any]] = SimpleQueue()
        self._asked = self._sent = 0
        self._ended = False
        self._problem = ""
        self._warned = False
        self._patience = time.monotonic() + STARTING_S  # the start's, and then that of the last answer
        work = (open_tracker, plan)
        self._thread = threading.Thread(target=self._work, args=work, name="mfbench-mlflow", daemon=True)
        self._thread.start()

    def cell(self, entry: Entry) -> None:
        """Queue a cell; never waits."""
        self._asked += 1
        if self._problem:
            self._warn()
        elif self._waiting.qsize() < ROOM:
            self._waiting.put(entry)

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Queue the end, and wait as long as MLflow takes what is queued; then leave the rest."""
        self._waiting.put(summary)
        began = time.monotonic()
        while self._thread.is_alive() and time.monotonic() < self._deadline(began):
            self._thread.join(min(_LOOK_S, STALLED_S))
        if self._thread.is_alive():
            self._ended = True
            self._problem = "what MLFLOW_TRACKING_URI names did not answer in time"
        if self._problem or self._sent < self._asked:
            self._warn()

    def _deadline(self, began: float) -> float:
        """When the end that began to wait then gives up, as things stand."""
        return min(began + LONGEST_S, max(began + STALLED_S, self._patience))

    def _answered(self) -> None:
        self._patience = max(self._patience, time.monotonic() + STALLED_S)

    def _work(
        self,
        open_tracker: Callable[[Mapping[str, Any], Answered], Tracker],
        plan: Mapping[str, Any],
    ) -> None:
        """Send what waits, in order, up to the end of the run or the first failure."""
        try:
            tracker = open_tracker(plan, self._answered)
            self._patience = time.monotonic() + STALLED_S
            while not self._ended:
                item = self._waiting.get()
                if not isinstance(item, Entry):
                    tracker.finish(item)
                    return
                tracker.log_cell(item)
                self._sent += 1
        except Exception as error:  # MLflow is not installed, not there, not willing
            self._problem = _in_one_line(error)

    def _warn(self) -> None:
        """One line, once; in the coordinator's thread, where warnings are told."""
        if not self._warned:
            self._warned = True
            reason = self._problem or f"more than {ROOM:,} cells waited for it"
            some = f"it was told of {self._sent} of {self._asked} cells"
            message = f"MLflow: {reason}; {some}, and the store has them all"
            warnings.warn(message, RuntimeWarning, stacklevel=1)


def _in_one_line(error: Exception) -> str:
    said = " ".join(str(error).split()) or type(error).__name__
    return said if len(said) <= _LONGEST_REASON else f"{said[: _LONGEST_REASON - 1]}…"
